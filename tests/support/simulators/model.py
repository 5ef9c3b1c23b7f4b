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
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F32, Context, Piece, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.models import Model
from thresher.models.chat_template import render
from thresher.models.tokenizer import Tokenizer

#: What servers write instead of the logarithm of nothing.
SMALLEST_LOGPROB = -9999.0
_KEPT_PROMPTS = 512
_BLOCK_TOKENS = 16
_CONTEXT_TOKENS = 4096
_BATCH_TOKENS = 512
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
        return _normalised(logits)

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
        binding = open_binding(want_gpu=False)
        self._loaded = LoadedModel(binding, model.files.path, on_gpu=False)
        shape = Shape(cells=_CONTEXT_TOKENS, sequences=1, micro_batch=_BATCH_TOKENS, threads=1, kv_type=F32)
        self._context = Context(binding, self._loaded.handle, self._loaded.vocabulary_size, shape)

    def _read(self, tokens: tuple[int, ...]) -> Logprobs:
        self._context.clear()
        for start in range(0, len(tokens), _BATCH_TOKENS):
            part = np.array(tokens[start : start + _BATCH_TOKENS], dtype=np.int32)
            logits = self._context.decode([Piece(0, start, part, (len(part) - 1,))])
        return _normalised(logits[0].astype(np.float64))


def likeliest(logprobs: Logprobs, count: int) -> list[int]:
    """The places of the ``count`` largest, the largest first."""
    chosen = np.argpartition(-logprobs, min(count, len(logprobs) - 1))[:count]
    return [int(place) for place in sorted(chosen, key=lambda place: -logprobs[place])]


def narrowed(logprobs: Logprobs, allowed: Sequence[int]) -> Logprobs:
    """Log probabilities after all but ``allowed`` are forbidden."""
    masked = np.full_like(logprobs, SMALLEST_LOGPROB)
    masked[list(allowed)] = _normalised(logprobs[list(allowed)])
    return masked


def _normalised(logits: Logprobs) -> Logprobs:
    """Their log-softmax."""
    shifted = logits - logits.max()
    normalised: Logprobs = shifted - math.log(np.exp(shifted).sum())
    return normalised


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
