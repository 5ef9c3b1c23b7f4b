"""Answers from servers that say how likely chosen tokens are to come next: the descent of the answer trie by requests.

A *route* is one way of asking a server for the log probabilities of chosen next tokens; which routes a server has
differs with its version and its settings. Everything else is the same for all routes and stands here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from thresher.answers import Answer, AnswerTrie, AnswerWalk
from thresher.engines.servers.fault import BadAnswerError, TooLongError
from thresher.types import Request, Scores

#: What servers write for the logarithm of nothing is a large negative number; below this it makes no difference.
SMALLEST_LOGPROB = -1e4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a server said about the next token, perhaps in several requests."""

    logprobs: tuple[float, ...]  # of the tokens asked for, in their order, up to a constant that they share
    mass: float | None  # the unconstrained probability of all of them together; None where the route cannot tell
    prompt_tokens: int  # of all its requests
    cached_tokens: int = 0  # of those, as far as the server says


class Route(Protocol):
    """One way of asking. Raises ``ServerError``."""

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """How likely each of ``tokens`` (at least two) is to come after ``prompt``."""


async def score_by(route: Route, request: Request) -> Scores:
    """Every question of ``request`` answered through ``route``, one request for each place that must be looked into."""
    prefix = [*request.prompt.prefix_tokens, *request.document_tokens]
    answers: list[Answer] = []
    prompt_tokens = cached_tokens = 0
    for question in request.prompt.questions:
        answer, readings = await _answer(route, [*prefix, *question.suffix_tokens], question.trie)
        answers.append(answer)
        prompt_tokens += sum(reading.prompt_tokens for reading in readings)
        cached_tokens += sum(reading.cached_tokens for reading in readings)
    return Scores(
        request_id=request.request_id,
        answers=tuple(answers),
        computed_tokens=prompt_tokens - cached_tokens,
        cached_tokens=cached_tokens,
    )


async def _answer(route: Route, prompt: Sequence[int], trie: AnswerTrie) -> tuple[Answer, list[Reading]]:
    walk = AnswerWalk(trie)
    readings: list[Reading] = []
    while paths := walk.wanted():
        for path in paths:
            reading = await route.read([*prompt, *path], trie.branchings[path].tokens)
            readings.append(reading)
            walk.observe(path, reading.logprobs)
            if not path and reading.mass is not None:
                walk.observe_label_mass(reading.mass)
    return walk.answer(), readings


def joined(parts: Sequence[Reading]) -> Reading:
    """One reading from several over the same softmax, each of other tokens."""
    masses = [part.mass for part in parts if part.mass is not None]
    return Reading(
        logprobs=tuple(value for part in parts for value in part.logprobs),
        mass=math.fsum(masses) if len(masses) == len(parts) else None,
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        cached_tokens=sum(part.cached_tokens for part in parts),
    )


def mass_of(logprobs: Sequence[float]) -> float:
    """The probability of all of several tokens."""
    return math.fsum(math.exp(value) for value in logprobs)


def checked_logprobs(values: Sequence[object]) -> tuple[float, ...]:
    """Numbers as a server gave them. Raises ``BadAnswerError`` for what is no number or too large for its logarithm."""
    numbers: list[float] = []
    for value in values:
        if not isinstance(value, int | float) or math.isnan(value) or value == math.inf:
            raise BadAnswerError(f"a log probability is {value!r}")
        numbers.append(max(float(value), SMALLEST_LOGPROB))
    return tuple(numbers)


def check_length(sent_tokens: int, read_tokens: object) -> None:
    """Servers may be told to cut what is too long without a word; then the label would be that of another text.

    Raises:
        TooLongError: the server read less than it was sent.
    """
    if isinstance(read_tokens, int) and read_tokens < sent_tokens:
        raise TooLongError(
            f"the server read {read_tokens:,} of {sent_tokens:,} tokens: it cuts long prompts; start it without that",
            prompt_tokens=sent_tokens,
            limit_tokens=read_tokens,
        )
