"""The thread that keeps the index of rows up to date while a run goes on, and knows where that run stands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from thresher.closing import Closing
from thresher.errors import ThresherError
from thresher.jobs import JobView
from thresher.jobs.location import DATABASE_NAME
from thresher.review.index import ReviewIndex
from thresher.review.summary import Summary

#: Looks for news so often, and takes at most a tenth of the time for taking them over.
_PERIOD_S = 1.0
_REST = 10.0
#: A run that stored nothing for so long is not called going on.
_GOING_ON_S = 30.0
_TEXTS_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where the job's latest run stands."""

    documents: int = 0
    done: int = 0
    documents_per_second: float | None = None  # None: it is not going on
    error: str = ""  # why the page may be behind


class Refresher(Closing):
    """Refreshes the index in a thread of its own, from ``start`` to ``close``."""

    def __init__(self, folder: Path, open_index: Callable[[], ReviewIndex]) -> None:
        self._folder = folder
        self._index = open_index()
        self._seen = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="review-index", daemon=True)
        self._last: tuple[float, int] | None = None  # when the number of documents done last grew, and to what
        self.state = RunState()

    def start(self) -> None:
        """Refresh once, if the job has changed since the last time, then go on in the background.

        Raises:
            ThresherError: the job or the index cannot be read.
        """
        JobView.open(self._folder).close()  # whoever opens the job first tidies up after its writer, and changes it
        self._seen = self._signature()
        summary = self._index.up_to_date(self._seen)
        if summary is None:
            self._refresh()
        else:
            self.state = self._state(summary)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._index.close()

    def _work(self) -> None:
        texts_done = False
        rest_until = 0.0
        while not self._stop.is_set():
            try:
                if time.monotonic() >= rest_until and self._signature() != self._seen:
                    start = time.monotonic()
                    self._refresh()
                    rest_until = time.monotonic() + _REST * (time.monotonic() - start)
                    texts_done = False
                if not texts_done:
                    with JobView.open(self._folder) as view:
                        texts_done = self._index.index_texts(view, _TEXTS_S)
            except ThresherError as error:  # the page says so and shows what it has
                self.state = replace(self.state, error=str(error), documents_per_second=None)
                texts_done = True  # until the job changes
            self._stop.wait(_PERIOD_S if texts_done else 0.0)
            self._settle()

    def _refresh(self) -> None:
        with JobView.open(self._folder) as view:
            self._seen = self._signature()
            self.state = self._state(self._index.refresh(view, self._seen))

    def _state(self, summary: Summary) -> RunState:
        now, rate = time.monotonic(), None
        if self._last is not None and summary.done > self._last[1] and summary.done < summary.documents:
            rate = (summary.done - self._last[1]) / max(now - self._last[0], 1e-3)
        if self._last is None or summary.done != self._last[1]:
            self._last = (now, summary.done)
        return RunState(documents=summary.documents, done=summary.done, documents_per_second=rate)

    def _settle(self) -> None:
        """Take the rate back when nothing has come for a while."""
        if self._last is not None and time.monotonic() - self._last[0] > _GOING_ON_S:
            self.state = replace(self.state, documents_per_second=None)

    def _signature(self) -> str:
        """Changes whenever the job's file does."""
        found = []
        for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal"):
            try:
                stat = (self._folder / name).stat()
            except FileNotFoundError:
                continue
            if stat.st_size:  # readers make an empty write-ahead log
                found.append(f"{name} {stat.st_mtime_ns} {stat.st_size}")
        return "\n".join(found)
