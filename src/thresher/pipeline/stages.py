"""Stages that run beside each other, each in a thread, joined by bounded queues."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from thresher.documents import Item, ReaderPool
from thresher.jobs import JobStore
from thresher.models.tokenizer import Tokenizer
from thresher.pipeline.asking import Asking
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.preparing import ContentsUnderWay, Prepared, Preparing
from thresher.pipeline.queues import StageStoppedError, WeightedQueue
from thresher.pipeline.reading import ReadDocument, Reading
from thresher.pipeline.room import reader_count
from thresher.pipeline.stage_times import StageTimes

_TEXTS_CAPACITY_CHARACTERS = 16 * 1024 * 1024
#: Tokens that wait for the engine: two of its batches, and never more than this (a token takes 4 bytes).
_LARGEST_TOKENS_CAPACITY = 2_000_000


def reader_pool(options: ClassifyOptions) -> ReaderPool:
    """The parsers' processes, as many as there are cores, and no more than 8; they start with the first file."""
    return ReaderPool(reader_count(), ocr=options.ocr)


@contextlib.contextmanager
def prepared_documents(
    items: Iterable[Item],
    store: JobStore,
    pool: ReaderPool,
    tokenizer: Tokenizer,
    asking: Asking,
    under_way: ContentsUnderWay,
    times: StageTimes,
    stop: threading.Event,
    *,
    batch_tokens: int,
) -> Iterator[WeightedQueue[Prepared]]:
    """Read and prepare ``items`` in the background; the queue gives them as they are ready.

    An error of a stage is raised by the queue's ``get``. Leaving the block stops what still runs.
    """
    texts: WeightedQueue[ReadDocument] = WeightedQueue(_TEXTS_CAPACITY_CHARACTERS, stop.is_set)
    capacity = min(2 * batch_tokens, _LARGEST_TOKENS_CAPACITY)
    prepared: WeightedQueue[Prepared] = WeightedQueue(capacity, stop.is_set)
    reading = Reading(items, store, pool, texts, times, stop.is_set)
    preparing = Preparing(texts, prepared, tokenizer, asking, under_way, times, stop.is_set)
    threads = [_start("read", reading.run, texts), _start("prepare", preparing.run, prepared)]
    ended = False
    try:
        yield prepared
        ended = True
    finally:
        if not ended:
            stop.set()
        pool.close()
        for thread in threads:
            thread.join()


def _start(name: str, run: Callable[[], None], target: WeightedQueue[Any]) -> threading.Thread:
    def body() -> None:
        try:
            run()
        except StageStoppedError:
            target.close()
        except BaseException as error:  # noqa: BLE001  (raised again in the thread that reads the queue)
            target.close(error)
        else:
            target.close()

    thread = threading.Thread(target=body, name=f"thresher-{name}", daemon=True)
    thread.start()
    return thread
