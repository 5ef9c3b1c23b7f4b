"""Second stage: duplicates set aside, texts tokenized in batches, each document fitted into the context."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thresher.errors import EngineError
from thresher.jobs import DocumentRead, JobStore
from thresher.models.tokenizer import Tokenizer
from thresher.pipeline.asking import Ask, Asking, Place
from thresher.pipeline.queues import WeightedQueue
from thresher.pipeline.reading import ReadDocument
from thresher.pipeline.stage_times import StageTimes
from thresher.types import Failure

_BATCH_DOCUMENTS = 256
_BATCH_CHARACTERS = 1_000_000
_WEIGHT_OF_A_DOCUMENT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document ready to be scored, or ready to be stored as it is (unreadable, oversize, a duplicate)."""

    read: DocumentRead
    text: str | None = None
    document_tokens: int = 0
    windows: tuple[Sequence[int], ...] = ()  # what the engine is to read; empty when it has nothing to do
    truncated_tokens: int = 0
    failure: Failure | None = None
    place: Place | None = None  # the prompt that the windows stand in

    @property
    def counted_tokens(self) -> int | None:
        """The document's tokens; None where they are only estimated."""
        estimated = self.place is not None and not self.place.admission.counts_tokens
        return None if estimated else self.document_tokens


class ContentsUnderWay:
    """The contents between reading and storing; with the store's own index no content is scored twice."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._contents: set[str] = set()
        self._mutex = threading.Lock()

    def claim(self, contents: Sequence[str]) -> list[bool]:
        """For each content whether the caller is to score it; those are under way from now on."""
        with self._mutex:
            fresh = []
            for content in contents:
                fresh.append(content not in self._contents)
                self._contents.add(content)
        # looked up after the set: a content leaves the set only when it is in the store
        stored = self._store.scored_contents(contents)
        with self._mutex:
            self._contents -= {
                content for content, new in zip(contents, fresh, strict=True) if new and content in stored
            }
        return [new and content not in stored for content, new in zip(contents, fresh, strict=True)]

    def release(self, contents: Sequence[str]) -> None:
        """These contents are in the store now."""
        with self._mutex:
            self._contents.difference_update(contents)


class Preparing:
    """Turns texts into tokens that fit the context."""

    def __init__(
        self,
        source: WeightedQueue[ReadDocument],
        target: WeightedQueue[Prepared],
        tokenizer: Tokenizer,
        asking: Asking,
        under_way: ContentsUnderWay,
        times: StageTimes,
        should_stop: Callable[[], bool],
    ) -> None:
        self._source = source
        self._target = target
        self._tokenizer = tokenizer
        self._asking = asking
        self._under_way = under_way
        self._times = times
        self._should_stop = should_stop

    def run(self) -> None:
        """Prepare until the source ends or the run is to stop."""
        while batch := self._source.get(_BATCH_DOCUMENTS, _BATCH_CHARACTERS):
            if self._should_stop():
                return
            with self._times.busy("tokenizing"):
                ready = self._prepare(batch)
            tokens = sum(prepared.document_tokens for prepared in ready)
            self._times.add("tokenizing", documents=len(ready), tokens=tokens)
            for prepared in ready:
                self._target.put(prepared, sum(map(len, prepared.windows)) + _WEIGHT_OF_A_DOCUMENT)

    def _prepare(self, batch: Sequence[ReadDocument]) -> list[Prepared]:
        readable = [document for document in batch if document.unreadable_reason is None]
        claims = self._under_way.claim([document.content_sha256 or "" for document in readable])
        fresh = [document for document, claimed in zip(readable, claims, strict=True) if claimed]
        asks = [self._asking.of(document.request) for document in fresh]
        pairs = list(zip(fresh, asks, strict=True))
        words = ["" if isinstance(ask, Failure) else ask.words(document.text or "") for document, ask in pairs]
        try:
            # arrays, because lists of millions of numbers keep the garbage collector busy
            tokens = [array("i", encoded) for encoded in self._tokenizer.encode_batch(words)]
        except EngineError as error:  # a tokenizer that a server has, and the server is away
            failure = Failure(status="engine_error", reason=str(error))
            prepared = {id(document): _prepared(document, failure, ()) for document in fresh}
        else:
            prepared = {
                id(document): _prepared(document, ask, own_tokens)
                for (document, ask), own_tokens in zip(pairs, tokens, strict=True)
            }
        return [prepared.get(id(document)) or Prepared(read=_read(document)) for document in batch]


def _prepared(document: ReadDocument, ask: Ask | Failure, tokens: Sequence[int]) -> Prepared:
    if isinstance(ask, Failure):
        return Prepared(read=_read(document), text=document.text, failure=ask)
    place, own_tokens = ask.place(tokens)
    admitted = place.admission.admit(own_tokens)
    if isinstance(admitted, Failure):
        return Prepared(
            read=_read(document), text=document.text, document_tokens=len(own_tokens), failure=admitted, place=place
        )
    return Prepared(
        read=_read(document),
        text=document.text,
        document_tokens=len(own_tokens),
        windows=admitted.windows,
        truncated_tokens=admitted.truncated_tokens,
        place=place,
    )


def _read(document: ReadDocument) -> DocumentRead:
    return DocumentRead(
        document_id=document.document_id,
        content_sha256=document.content_sha256,
        unreadable_reason=document.unreadable_reason,
    )
