"""The contract between the pipeline and whatever reads documents through a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What a user may ask of any engine. ``None`` leaves the choice to the engine."""

    precision: str = "auto"
    context_tokens: int | None = None  # largest request in tokens, prefix and answer included
    threads: int | None = None
    device: str | None = None
    weights_memory_bytes: int | None = None  # the most that weights may take; the rest is streamed
    deadline_s: float | None = None  # for a server's answer to one request
    settings: Mapping[str, int] = field(default_factory=dict)  # engine-specific, from a saved profile
    job_folder: Path | None = None  # where a server that is started keeps its log; None for a temporary folder
    say: Callable[[str], None] = field(default=lambda _: None, compare=False)  # told what goes on; from any thread


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What an open engine states about itself."""

    engine: str  # name in the registry
    model: str  # the model's name for people
    model_fingerprint: str
    precision: str  # what it computes in, e.g. "Q8_0"
    version: str  # of the library that computes
    device: str
    largest_request_tokens: int  # prefix + document + suffix + answer; 0 where a server does not say
    batch_tokens: int  # tokens the engine likes to be given per call of ``score``
    batch_requests: int  # requests it likes to be given per call of ``score``
    exact_probabilities: bool
    shares_prefix: bool
    notices: tuple[str, ...] = ()  # what it chose, for people
    #: Of an endpoint without a tokenizer: "tokens" are bytes of text, and so many of them are taken for one token.
    bytes_per_token: float | None = None


@runtime_checkable
class Engine(Protocol):
    """Reads requests through one model.

    ``score`` takes a batch of requests and yields one :class:`~thresher.types.Scores` for each, as
    they complete and in any order, keyed by ``request_id``. A request that is too long, or that the
    engine cannot score, yields a ``Scores`` with a failure; the others go on. ``EngineError`` is raised
    only when the engine as a whole cannot go on. The label of a request does not depend on what else
    is in the batch. ``close`` may be called twice.
    """

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do; does not change while it is open."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own; may be used beside ``score``, from another thread."""

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        """One ``Scores`` per request. Raises ``EngineError`` when the engine is closed or cannot go on."""

    def close(self) -> None:
        """Give everything back."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class ServedModelEngine(Engine, Protocol):
    """An engine whose model is elsewhere, so that the chat template comes with it."""

    @property
    def chat(self) -> ChatFormat:
        """The model's own, or what stands in for it."""
