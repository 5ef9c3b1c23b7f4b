"""The engine ``fake``: answers made from a hash of the document, for tests and dry runs.

It spends no time, needs no weights and is deterministic: the same document and question get the same probabilities
whenever, alone or in any batch. It keeps to a model's tokenizer and context like a real engine.
"""

from __future__ import annotations

import array
import hashlib
import math
import struct
from collections.abc import Iterator, Sequence

from thresher.answers import Answer
from thresher.closing import Closing
from thresher.engines.base import EngineInfo, EngineOptions
from thresher.errors import EngineError, ModelFormatError, UsageError
from thresher.models.byte_tokenizer import ByteTokenizer
from thresher.models.model import Model
from thresher.models.tokenizer import Tokenizer
from thresher.types import Failure, Prompt, QuestionPrompt, Request, Scores

_VERSION = "1"
_CONTEXT_WITHOUT_MODEL = 32_768
#: How far apart the labels' scores lie: the best one of a few labels gets 0.5 to 0.99 of the probability.
_SHARPNESS = 8.0
_WORD_LIMIT = 1 << 32


class FakeEngine(Closing):
    """See the module. ``tokenizer`` and ``context_tokens`` stand in for a model's."""

    def __init__(
        self,
        tokenizer: Tokenizer | None = None,
        *,
        context_tokens: int = _CONTEXT_WITHOUT_MODEL,
        model: str = "fake",
        model_fingerprint: str = "fake",
    ) -> None:
        self._tokenizer = tokenizer or ByteTokenizer()
        self._prompt: Prompt | None = None
        self._salts: list[bytes] = []
        self._closed = False
        self._info = EngineInfo(
            engine="fake",
            model=model,
            model_fingerprint=model_fingerprint,
            precision="none",
            version=_VERSION,
            device="none",
            largest_request_tokens=context_tokens,
            batch_tokens=1 << 20,
            batch_requests=1024,
            exact_probabilities=True,
            shares_prefix=True,
        )

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, or one of bytes."""
        return self._tokenizer

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        """See :class:`thresher.engines.base.Engine`."""
        if self._closed:
            raise EngineError("the engine is closed; open a new one")
        return map(self._score, requests)

    def _score(self, request: Request) -> Scores:
        prompt, limit = request.prompt, self._info.largest_request_tokens
        prefix_computed = self._hold(prompt)
        tokens = len(request.document_tokens)
        if tokens + self._overhead > limit:
            reason = f"the request has {tokens + self._overhead:,} tokens, and the context holds {limit:,}"
            return Scores(request_id=request.request_id, failure=Failure(status="oversize", reason=reason))
        digest = hashlib.blake2b(array.array("i", request.document_tokens), digest_size=16).digest()
        answers = [_answer(q, digest + salt) for q, salt in zip(prompt.questions, self._salts, strict=True)]
        return Scores(
            request_id=request.request_id,
            answers=tuple(answers),
            computed_tokens=tokens + self._suffix_tokens + prefix_computed,
            cached_tokens=len(prompt.prefix_tokens) - prefix_computed,
        )

    def _hold(self, prompt: Prompt) -> int:
        """Work out what all requests of ``prompt`` share. Returns the tokens of a prefix not seen just before."""
        if self._prompt is prompt:
            return 0
        self._prompt = prompt
        self._overhead = prompt.overhead_tokens()
        self._suffix_tokens = sum(len(question.suffix_tokens) for question in prompt.questions)
        self._salts = [
            hashlib.blake2b("\0".join((q.name, *q.trie.labels)).encode("utf-8", "replace")).digest()
            for q in prompt.questions
        ]
        return len(prompt.prefix_tokens)

    def close(self) -> None:
        """Nothing to free. Safe to call twice."""
        self._closed = True


class Fake:
    """How the registry opens it."""

    @staticmethod
    def open(model: Model, options: EngineOptions) -> FakeEngine:
        """A fake of ``model``. Raises ``UsageError`` for a context that the model does not have."""
        facts = model.facts
        if model.tokenizer is None:
            raise ModelFormatError(
                f"{facts.name}: only llama.cpp can read this vocabulary; use another model with fake"
            )
        context = options.context_tokens or facts.context_tokens
        if context > facts.context_tokens:
            raise UsageError(f"--context {context:,}: {facts.name} was trained for {facts.context_tokens:,} tokens")
        return FakeEngine(
            model.tokenizer, context_tokens=context, model=facts.name, model_fingerprint=facts.fingerprint
        )

    @staticmethod
    def version() -> str:
        """Changes when the answers change."""
        return _VERSION

    @staticmethod
    def about() -> str:
        """What it is for."""
        return "made-up answers in no time, for tests and dry runs"

    @staticmethod
    def unsuited(model: Model) -> str:  # noqa: ARG004 - whatever the model is
        """Its answers mean nothing."""
        return "its answers are made up"


def _answer(question: QuestionPrompt, key: bytes) -> Answer:
    labels = len(question.trie.labels)
    words = struct.unpack(f"<{labels + 1}I", hashlib.shake_128(key).digest(4 * (labels + 1)))
    weights = [math.exp(_SHARPNESS * word / _WORD_LIMIT) for word in words[:labels]]
    total = math.fsum(weights)
    return Answer(tuple([weight / total for weight in weights]), 0.5 + words[labels] / (2 * _WORD_LIMIT))
