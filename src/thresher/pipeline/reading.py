"""First stage: the listed documents that still need work, read by the parsers' processes."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from thresher.documents import Item, ReaderPool, ReadResult
from thresher.jobs import DocumentState, JobStore
from thresher.pipeline.listing import content_hash
from thresher.pipeline.queues import WeightedQueue
from thresher.pipeline.stage_times import StageTimes
from thresher.types import ChatRequest

_CHUNK_DOCUMENTS = 256
#: Files given to the parsers and not yet taken back: enough to keep them busy behind one slow file.
_MAX_FILES_UNDER_WAY = 256
_MAX_BYTES_UNDER_WAY = 64 * 1024 * 1024
#: What a document weighs in the queue beside its text, so that empty ones are bounded too.
_WEIGHT_OF_A_DOCUMENT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """A document as it was read: its text and hash, or the reason why it could not be."""

    document_id: str
    content_sha256: str | None = None
    text: str | None = None
    unreadable_reason: str | None = None
    request: ChatRequest | None = None  # of a line of a batch file


class Reading:
    """Reads what is left of the listing, in its order, and puts it on a queue."""

    def __init__(
        self,
        items: Iterable[Item],
        store: JobStore,
        pool: ReaderPool,
        target: WeightedQueue[ReadDocument],
        times: StageTimes,
        should_stop: Callable[[], bool],
    ) -> None:
        self._items = items
        self._store = store
        self._pool = pool
        self._target = target
        self._times = times
        self._should_stop = should_stop
        self._under_way: deque[tuple[Item, Future[ReadResult] | ReadDocument]] = deque()
        self._bytes_under_way = 0

    def run(self) -> None:
        """Read until the listing ends or the run is to stop."""
        for item in self._unfinished():
            if self._should_stop():
                return
            self._begin(item)
            while len(self._under_way) >= _MAX_FILES_UNDER_WAY or self._bytes_under_way >= _MAX_BYTES_UNDER_WAY:
                self._finish_first()
        while self._under_way and not self._should_stop():
            self._finish_first()

    def _unfinished(self) -> Iterator[Item]:
        items = iter(self._items)
        while chunk := list(itertools.islice(items, _CHUNK_DOCUMENTS)):
            states = self._store.states([item.document_id for item in chunk])
            # an item without a state came into being after the listing; the next run takes it up
            yield from (item for item in chunk if item.document_id in states and not is_done(states[item.document_id]))

    def _begin(self, item: Item) -> None:
        self._bytes_under_way += item.size_bytes
        if item.problem is not None:
            read = ReadDocument(document_id=item.document_id, unreadable_reason=item.problem)
            self._under_way.append((item, read))
        elif item.path is not None:
            self._under_way.append((item, self._pool.submit(item.path, item.address)))
        else:
            self._under_way.append((item, _read_row(item)))

    def _finish_first(self) -> None:
        item, work = self._under_way.popleft()
        self._bytes_under_way -= item.size_bytes
        read, seconds = (work, 0.0) if isinstance(work, ReadDocument) else _read_file(item, work.result())
        self._times.add("reading", seconds, documents=1)
        self._target.put(read, len(read.text or "") + _WEIGHT_OF_A_DOCUMENT)


def is_done(state: DocumentState) -> bool:
    """Whether a document has its row already."""
    return state.unreadable or state.scored


def _read_row(item: Item) -> ReadDocument:
    if item.text is None or not item.text.strip():
        return ReadDocument(document_id=item.document_id, unreadable_reason="the row has no text")
    return ReadDocument(
        document_id=item.document_id, content_sha256=content_hash(item), text=item.text, request=item.request
    )


def _read_file(item: Item, result: ReadResult) -> tuple[ReadDocument, float]:
    read = ReadDocument(
        document_id=item.document_id,
        content_sha256=result.content_sha256,
        text=result.text,
        unreadable_reason=None if result.failure is None else result.failure.reason,
    )
    return read, result.seconds
