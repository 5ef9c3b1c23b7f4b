"""The models behind simulated servers: exact log probabilities of the next token after any prompt."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support import engine_models
from thresher.answers import AnswerTrie
from thresher.engines import EngineOptions, open_engine
from thresher.models import Model
from thresher.models.chat_template import render
from thresher.models.tokenizer import Tokenizer
from thresher.types import Prompt, QuestionPrompt, Request

#: What servers write instead of the logarithm of nothing.
SMALLEST_LOGPROB = -9999.0
_KEPT_PROMPTS = 512
_BLOCK_TOKENS = 16
Logprobs = npt.NDArray[np.float64]


class SimulatedModel:
    """Real files' vocabulary and chat template, and log probabilities made from a hash of the prompt, in no time."""

    def __init__(self, model: Model) -> None:
        assert model.tokenizer is not None
        self.model = model
        self.tokenizer: Tokenizer = model.tokenizer
        self._template = model.facts.chat_template or ""
        self._around: dict[object, list[str]] = {}  # the template's own text around messages of some roles
        self._known: OrderedDict[tuple[int, ...], Logprobs] = OrderedDict()
        self._mutex = threading.Lock()

    def logprobs(self, tokens: Sequence[int]) -> Logprobs:
        """The logarithm of every token's probability after ``tokens``."""
        key = tuple(tokens)
        with self._mutex:
            if key not in self._known:
                self._known[key] = self._read(key)
                if len(self._known) > _KEPT_PROMPTS:
                    self._known.popitem(last=False)
            return self._known[key]

    def _read(self, tokens: tuple[int, ...]) -> Logprobs:
        seed = int.from_bytes(hashlib.blake2b(array("i", tokens).tobytes(), digest_size=8).digest())
        logits = 6.0 * np.random.default_rng(seed).standard_normal(self.tokenizer.vocabulary_size)
        largest = logits.max()
        normalised: Logprobs = logits - largest - math.log(np.exp(logits - largest).sum())
        return normalised

    def likeliest(self, tokens: Sequence[int], count: int) -> list[int]:
        """The ``count`` likeliest tokens after ``tokens``, the likeliest first."""
        return likeliest(self.logprobs(tokens), count)

    def cached_tokens(self, tokens: Sequence[int]) -> int:
        """How much of ``tokens`` a prefix cache of 16-token blocks would have of earlier prompts."""
        with self._mutex:
            longest = max((_common(tokens, known) for known in list(self._known)[-32:]), default=0)
        return min(longest, len(tokens) - 1) // _BLOCK_TOKENS * _BLOCK_TOKENS

    def chat_tokens(self, messages: Sequence[Any], *, thinking: bool, opened: bool = True) -> list[int]:
        """A conversation in the model's own template.

        As servers do it: the whole text is tokenized at once, control tokens recognised wherever they stand.
        """
        key = (tuple(message["role"] for message in messages), thinking, opened)
        contents = [_text(message["content"]).strip() for message in messages]
        if key not in self._around:
            places = [f"place{index}mark" for index in range(len(messages))]
            shown = [{"role": role, "content": place} for role, place in zip(key[0], places, strict=True)]
            text = render(self._template, shown, enable_thinking=thinking, add_generation_prompt=opened)
            self._around[key] = re.split("|".join(places), text)
        first, *after = self._around[key]
        text = first + "".join(text + between for text, between in zip(contents, after, strict=True))
        return self.tokenizer.encode_template(text)

    @property
    def end_of_turn(self) -> int:
        """The token that ends an answer."""
        (token,) = self.tokenizer.encode_template(self.model.chat.end_of_turn)
        return token


class RealModel(SimulatedModel):
    """Reads prompts with llama.cpp, one at a time, whoever asks."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._engine = open_engine("llamacpp", model, EngineOptions(context_tokens=4096, threads=1))
        size = self.tokenizer.vocabulary_size
        trie = AnswerTrie(list(map(str, range(size))), [(token,) for token in range(size)])  # every token is an answer
        question = QuestionPrompt(name="next", suffix_tokens=(), trie=trie)
        self._prompt = Prompt(prefix_tokens=(), questions=(question,))

    def _read(self, tokens: tuple[int, ...]) -> Logprobs:
        (scores,) = self._engine.score([Request(request_id=0, prompt=self._prompt, document_tokens=tokens)])
        assert scores.failure is None, scores.failure
        with np.errstate(divide="ignore"):
            found: Logprobs = np.maximum(np.log(np.array(scores.answers[0].probabilities)), SMALLEST_LOGPROB)
        return found


def likeliest(logprobs: Logprobs, count: int) -> list[int]:
    """The places of the ``count`` largest, the largest first."""
    chosen = np.argpartition(-logprobs, min(count, len(logprobs) - 1))[:count]
    return [int(place) for place in sorted(chosen, key=lambda place: -logprobs[place])]


def narrowed(logprobs: Logprobs, allowed: Sequence[int]) -> Logprobs:
    """Log probabilities after all but ``allowed`` are forbidden."""
    masked = np.full_like(logprobs, SMALLEST_LOGPROB)
    chosen = logprobs[list(allowed)]
    masked[list(allowed)] = chosen - chosen.max() - math.log(np.exp(chosen - chosen.max()).sum())
    return masked


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@cache
def made_up() -> SimulatedModel:
    """The shipped model's vocabulary and template, with made-up probabilities."""
    return SimulatedModel(engine_models.shipped())


@cache
def float32() -> RealModel:
    """The shipped model with float32 weights, opened once per process."""
    return RealModel(engine_models.float32())
