"""Fit a document into the context, cut it, split it or set it aside, as the user chose."""

from __future__ import annotations

import itertools
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from thresher.answers import Answer
from thresher.errors import UsageError
from thresher.models.tokenizer import Tokenizer
from thresher.tasks import document_text
from thresher.types import Failure, Prompt

LongPolicy = Literal["head-tail", "head", "windows", "skip"]
LONG_POLICIES: tuple[str, ...] = get_args(LongPolicy)

#: Stands where tokens were left out of the middle, so that the model does not read two halves as one sentence.
GAP_MARK = "\n[...]\n"
# a probability of exactly 0 is an underflow of the softmax, not knowledge; its logarithm must stay finite
_SMALLEST_PROBABILITY = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """How a document is read: its pieces (one unless it is read in windows) and what was left out."""

    windows: tuple[Sequence[int], ...]
    truncated_tokens: int = 0


class Admission:
    """Decides for each document's tokens how they are read within ``context_tokens`` (0: there is no known limit).

    An endpoint without a tokenizer has bytes for tokens; then ``bytes_per_token`` of them are taken for one token of
    the context, and counts of tokens are estimates.

    Raises:
        UsageError: the task's own words leave no room for a document.
    """

    def __init__(
        self,
        *,
        context_tokens: int,
        prompt: Prompt,
        policy: LongPolicy,
        tokenizer: Tokenizer,
        bytes_per_token: float | None = None,
    ) -> None:
        self._context_tokens = context_tokens
        self._policy = policy
        self._tokenizer = tokenizer
        self._gap = tokenizer.encode(GAP_MARK)
        self._bytes_per_token = bytes_per_token
        room = int(context_tokens * (bytes_per_token or 1.0)) or sys.maxsize
        self.capacity_tokens = room - prompt.overhead_tokens()
        if self.capacity_tokens < len(self._gap) + 2:
            raise UsageError(
                f"the task's own words (instructions, labels, examples) take "
                f"{self.tokens_in(prompt.overhead_tokens())} tokens and the "
                f"context is {context_tokens} tokens, which leaves no room for a document; use a larger --context, or "
                "fewer labels, shorter descriptions or fewer examples"
            )

    def admit_texts(self, texts: Sequence[str]) -> list[tuple[int, Admitted | Failure]]:
        """For each text how many tokens it has, and how it is read."""
        # arrays, because lists of millions of numbers keep the garbage collector busy
        encoded = [array("i", tokens) for tokens in self._tokenizer.encode_batch(list(map(document_text, texts)))]
        return [(len(tokens), self.admit(tokens)) for tokens in encoded]

    @property
    def counts_tokens(self) -> bool:
        """Whether lengths are known in tokens, rather than estimated from bytes."""
        return self._bytes_per_token is None

    def tokens_in(self, length: int) -> int:
        """The tokens in so much of a document: ``length`` itself, or the estimate from its bytes."""
        return length if self._bytes_per_token is None else math.ceil(length / self._bytes_per_token)

    def fits(self, tokens: Sequence[int]) -> bool:
        """Whether the document is read whole, in one piece."""
        return len(tokens) <= self.capacity_tokens

    def admit(self, tokens: Sequence[int]) -> Admitted | Failure:
        """How to read a document of these tokens."""
        if self.fits(tokens):
            return Admitted(windows=(tokens,))
        if self._policy == "skip":
            return Failure(
                status="oversize",
                reason=f"the document has {self.tokens_in(len(tokens))} tokens and "
                f"{self.tokens_in(self.capacity_tokens)} fit into the context of "
                f"{self._context_tokens}; use a larger --context, or --long head-tail or windows",
            )
        if self._policy == "windows":
            return Admitted(windows=tuple(_split_evenly(tokens, self.capacity_tokens)))
        return self._cut(tokens)

    def _cut(self, tokens: Sequence[int]) -> Admitted:
        if self._policy == "head":
            return Admitted(
                windows=(tokens[: self.capacity_tokens],),
                truncated_tokens=self.tokens_in(len(tokens) - self.capacity_tokens),
            )
        kept = self.capacity_tokens - len(self._gap)
        tail = kept // 2
        window = array("i", [*tokens[: kept - tail], *self._gap, *tokens[len(tokens) - tail :]])
        return Admitted(windows=(window,), truncated_tokens=self.tokens_in(len(tokens) - kept))


def _split_evenly(tokens: Sequence[int], largest: int) -> list[Sequence[int]]:
    count = math.ceil(len(tokens) / largest)
    bounds = [len(tokens) * i // count for i in range(count + 1)]
    return [tokens[start:end] for start, end in itertools.pairwise(bounds)]


def join_windows(answers: Sequence[Answer], window_tokens: Sequence[int]) -> Answer:
    """One answer from those of a document's windows: log probabilities averaged by tokens, renormalised.

    Raises:
        ValueError: the windows have different labels, and no probabilities say which one counts more.
    """
    if len(answers) == 1:
        return answers[0]
    if any(answer.choice is not None for answer in answers):
        labels = {answer.best for answer in answers}
        if len(labels) > 1:
            raise ValueError("its windows have different labels, and the endpoint gives no probabilities to weigh them")
        return Answer((), None, choice=labels.pop())
    total = sum(window_tokens)
    logs = [
        math.fsum(
            count * math.log(max(answer.probabilities[label], _SMALLEST_PROBABILITY))
            for answer, count in zip(answers, window_tokens, strict=True)
        )
        / total
        for label in range(len(answers[0].probabilities))
    ]
    weights = [math.exp(value - max(logs)) for value in logs]
    masses = [answer.label_mass for answer in answers]
    mean_mass = None
    if all(mass is not None for mass in masses):
        mean_mass = math.fsum((m or 0.0) * n for m, n in zip(masses, window_tokens, strict=True)) / total
    return Answer(tuple(weight / math.fsum(weights) for weight in weights), mean_mass)
