"""The model behind a simulated server: exact log probabilities of the next token after any prompt."""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import Any

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


class SimulatedModel:
    """Reads prompts with llama.cpp, one at a time, whoever asks."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._engine = open_engine("llamacpp", model, EngineOptions(context_tokens=4096, threads=1))
        size = self.tokenizer.vocabulary_size
        trie = AnswerTrie(list(map(str, range(size))), [(token,) for token in range(size)])
        self._prompt = Prompt(
            prefix_tokens=(), questions=(QuestionPrompt(name="next", suffix_tokens=(), trie=trie),)
        )  # every token is an answer
        self._known: OrderedDict[tuple[int, ...], list[float]] = OrderedDict()
        self._mutex = threading.Lock()
        self._template = model.facts.chat_template or ""
        self._around: dict[object, list[str]] = {}  # the template's own text around messages of some roles

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own."""
        return self._engine.tokenizer

    def logprobs(self, tokens: Sequence[int]) -> list[float]:
        """The logarithm of every token's probability after ``tokens``."""
        key = tuple(tokens)
        with self._mutex:
            if key not in self._known:
                self._known[key] = self._read(key)
                if len(self._known) > _KEPT_PROMPTS:
                    self._known.popitem(last=False)
            return self._known[key]

    def _read(self, tokens: tuple[int, ...]) -> list[float]:
        (scores,) = self._engine.score([Request(request_id=0, prompt=self._prompt, document_tokens=tokens)])
        assert scores.failure is None, scores.failure
        return [math.log(p) if p > 0 else SMALLEST_LOGPROB for p in scores.answers[0].probabilities]

    def cached_tokens(self, tokens: Sequence[int]) -> int:
        """How much of ``tokens`` a prefix cache of 16-token blocks would have of earlier prompts."""
        with self._mutex:
            longest = max((_common(tokens, known) for known in self._known), default=0)
        return min(longest, len(tokens) - 1) // _BLOCK_TOKENS * _BLOCK_TOKENS

    def chat_tokens(self, messages: Sequence[Any], *, thinking: bool, opened: bool = True) -> list[int]:
        """A conversation in the model's own template.

        As servers do it: the whole text is tokenized at once, control tokens recognised wherever they stand.
        """
        key = (tuple(message["role"] for message in messages), thinking, opened)
        plain = all(isinstance(message["content"], str) for message in messages)
        if not plain:
            messages = [{**m, "content": "".join(part["text"] for part in m["content"])} for m in messages]
        if key not in self._around:
            places = [f"place{index}mark" for index in range(len(messages))]
            shown = [{"role": role, "content": place} for role, place in zip(key[0], places, strict=True)]
            text = render(self._template, shown, enable_thinking=thinking, add_generation_prompt=opened)
            self._around[key] = re.split("|".join(places), text)
        first, *after = self._around[key]
        contents = [message["content"].strip() for message in messages]
        text = first + "".join(text + between for text, between in zip(contents, after, strict=True))
        return self.tokenizer.encode_template(text)

    @property
    def end_of_turn(self) -> int:
        """The token that ends an answer."""
        (token,) = self.tokenizer.encode_template(self.model.chat.end_of_turn)
        return token


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


@cache
def shipped() -> SimulatedModel:
    """The shipped model, opened once per process."""
    return SimulatedModel(engine_models.shipped())


@cache
def float32() -> SimulatedModel:
    """The shipped model with float32 weights, opened once per process."""
    return SimulatedModel(engine_models.float32())
