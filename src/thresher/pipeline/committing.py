"""Commits beside the engine: one transaction under way at most, so that little is lost in a crash."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from thresher.jobs import Commit, JobStore
from thresher.pipeline.stage_times import StageTimes


class Committing:
    """Runs a store's commits in a thread of its own, in order."""

    def __init__(self, store: JobStore, times: StageTimes) -> None:
        self._store = store
        self._times = times
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="thresher-commit")
        self._last: Future[None] | None = None

    def submit(self, commit: Commit, then: Callable[[], None]) -> None:
        """Store ``commit`` beside the caller's work, after the one before; call ``then`` once it is on the disk.

        Raises:
            JobError: the commit before failed.
        """
        self.wait()
        self._last = self._executor.submit(self._run, commit, then)

    def wait(self) -> None:
        """Until everything submitted is on the disk.

        Raises:
            JobError: the last commit failed.
        """
        last, self._last = self._last, None
        if last is not None:
            with self._times.busy("waiting"):
                last.result()

    def _run(self, commit: Commit, then: Callable[[], None]) -> None:
        with self._times.busy("committing"):
            self._store.commit(commit)
        self._times.add("committing", documents=len(commit.reads))
        then()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exception is None:
                self.wait()
        finally:
            self._executor.shutdown(wait=True)
