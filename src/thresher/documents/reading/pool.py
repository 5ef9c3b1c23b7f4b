"""A pool of worker processes that turn files into text, one document's accident costing that document only."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thresher.closing import Closing
from thresher.documents.reading.process import (
    ReadLimits,
    WorkerDiedError,
    WorkerProcess,
    WorkerTimeoutError,
    worker_command,
)
from thresher.documents.reading.results import AttachmentList, NonsenseError, ReadResult
from thresher.errors import ThresherError

#: Paths are sent ahead to a worker for about this much work, so that pipes cost no time between small files.
_AHEAD_S = 0.05
_MOST_AHEAD = 64


_Result = ReadResult | AttachmentList


@dataclass(frozen=True, slots=True)
class _Job:
    request: Mapping[str, Any]
    kind: type[ReadResult] | type[AttachmentList]
    future: Future[Any]  # of that kind


class ReaderPool(Closing):
    """Parses files in ``workers`` processes.

    A document that takes longer than ``timeout_s``, needs more than ``memory_limit_bytes`` or crashes its worker
    becomes a failed :class:`ReadResult`; its worker is replaced and other documents do not notice. Workers end with the
    pool, and with this process however it ends. Use as a context manager, or call :meth:`close`.

    Args:
        workers: processes, at least 1.
        timeout_s: wall-clock limit for a document; default 30, with OCR 300.
        memory_limit_bytes: address space a worker may take beyond what it has at its start (Linux); default 1 GiB,
            with OCR 4 GiB.
        file_limit_bytes: larger files are not read; default 512 MiB.
        ocr: recognise the text of scans and pictures.
        command: starts a worker; for tests of what workers may do.
    """

    def __init__(
        self,
        workers: int,
        *,
        timeout_s: float | None = None,
        memory_limit_bytes: int | None = None,
        file_limit_bytes: int | None = None,
        ocr: bool = False,
        command: Sequence[str] | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers}: at least 1 is needed")
        usual = ReadLimits.for_ocr() if ocr else ReadLimits()
        limits = replace(
            usual,
            timeout_s=usual.timeout_s if timeout_s is None else timeout_s,
            memory_limit_bytes=usual.memory_limit_bytes if memory_limit_bytes is None else memory_limit_bytes,
            file_limit_bytes=usual.file_limit_bytes if file_limit_bytes is None else file_limit_bytes,
        )
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        started = list(command) if command is not None else worker_command()
        self._lanes = [_Lane(self._jobs, self._closed, limits, started) for _ in range(workers)]
        for lane in self._lanes:
            lane.start()

    def submit(self, path: Path, address: Sequence[int] = ()) -> Future[ReadResult]:
        """Read a file, or the attachment of a mail at ``address``; returns at once.

        The future's result is a :class:`ReadResult` whatever is wrong with the file. It raises
        :class:`~thresher.errors.ThresherError` only where no worker can be started at all. Callbacks run in a thread
        of the pool.
        """
        return self._put({"path": str(path), "address": list(address)}, ReadResult)

    def list_attachments(self, path: Path) -> Future[AttachmentList]:
        """The attachments of a mail, those of attached mails too; none of any other file, or of what cannot be read.

        The future is as that of :meth:`submit`. Its list names a failure only where the worker had an accident.
        """
        return self._put({"path": str(path), "list": True}, AttachmentList)

    def _put(self, request: Mapping[str, Any], kind: type[ReadResult] | type[AttachmentList]) -> Future[Any]:
        if self._closed.is_set():
            raise ValueError("the reader pool is closed")
        job = _Job(request, kind, Future())
        self._jobs.put(job)
        return job.future

    def close(self) -> None:
        """End the workers now; documents not finished are cancelled. Safe twice."""
        self._closed.set()
        for _ in self._lanes:
            self._jobs.put(None)
        for lane in self._lanes:
            lane.stop()
        for lane in self._lanes:
            lane.join()
        with contextlib.suppress(queue.Empty):
            while True:
                if job := self._jobs.get_nowait():
                    _cancel(job)


class _Lane(threading.Thread):
    """The thread of one worker: owns the process (and its successors) from start to end."""

    def __init__(
        self,
        jobs: queue.SimpleQueue[_Job | None],
        closed: threading.Event,
        limits: ReadLimits,
        command: Sequence[str],
    ) -> None:
        super().__init__(name="thresher-reader", daemon=True)
        self._jobs = jobs
        self._closed = closed
        self._limits = limits
        self._command = command
        self._worker: WorkerProcess | None = None
        self._worker_lock = threading.Lock()  # between this thread and stop()
        self._sent: deque[_Job] = deque()  # at the worker, in its order
        self._again: deque[_Job] = deque()  # were at a worker that is gone
        self._head_since = 0.0  # when the worker began with the first of those sent
        self._typical_s = _AHEAD_S  # of a document, moving average

    def run(self) -> None:
        """Serve jobs until the pool closes."""
        try:
            while self._fill():
                self._receive()
        finally:
            self._replace_worker()
            for job in (*self._sent, *self._again):
                _cancel(job)

    def stop(self) -> None:
        """Called by the pool, which has said that it is closed: do not wait for the document at work."""
        with self._worker_lock:
            if self._worker is not None:
                self._worker.terminate()

    def _fill(self) -> bool:
        """Send jobs ahead; wait for one only if the worker has none. False: the pool is closed."""
        ahead = max(1, min(_MOST_AHEAD, int(_AHEAD_S / self._typical_s)))
        while len(self._sent) < ahead:
            if self._worker is not None and self._worker.retiring:
                if self._sent:
                    break
                self._replace_worker()
            job = self._next_job()
            if job is None:
                break
            try:
                self._send(job)
            except ThresherError as error:
                _settle(job, error)
        return bool(self._sent) and not self._closed.is_set()

    def _next_job(self) -> _Job | None:
        if self._again:
            return self._again.popleft()
        try:
            return self._jobs.get(block=not self._sent)
        except queue.Empty:
            return None

    def _send(self, job: _Job) -> None:
        if self._worker is None:
            worker = WorkerProcess(self._limits, self._command)
            with self._worker_lock:
                self._worker = worker
            if self._closed.is_set():
                worker.terminate()
        if not self._sent:
            self._head_since = time.monotonic()
        self._sent.append(job)
        self._worker.request(job.request)

    def _receive(self) -> None:
        """Settle the first of the jobs sent, one way or another."""
        worker = self._worker
        assert worker is not None  # noqa: S101 - jobs are sent to a worker
        kind = self._sent[0].kind
        try:
            header, body = worker.answer(self._head_since + self._limits.timeout_s)
            result: _Result = kind.from_answer(header, body)
        except WorkerTimeoutError:
            reason = f"took longer than {self._limits.timeout_s:g} s to be read"
            result = kind.from_failure(reason, self._limits.timeout_s)
            self._give_up_worker()
        except (WorkerDiedError, NonsenseError) as error:
            if self._closed.is_set():
                return
            how = f"the reader process sent nonsense ({error})" if isinstance(error, NonsenseError) else str(error)
            result = kind.from_failure(f"{how} while reading it", time.monotonic() - self._head_since)
            self._give_up_worker()
        self._head_since = time.monotonic()
        self._typical_s = max(1e-5, 0.8 * self._typical_s + 0.2 * result.seconds)
        _settle(self._sent.popleft() if self._sent else self._again.popleft(), result)

    def _give_up_worker(self) -> None:
        """All that were sent are sent again to the next worker, but for the first, which is settled."""
        self._again.extendleft(reversed(self._sent))
        self._sent.clear()
        self._replace_worker()

    def _replace_worker(self) -> None:
        with self._worker_lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


def _settle(job: _Job, result: _Result | ThresherError) -> None:
    if not job.future.set_running_or_notify_cancel():
        return  # cancelled by its owner meanwhile
    if isinstance(result, ThresherError):
        job.future.set_exception(result)
    else:
        job.future.set_result(result)


def _cancel(job: _Job) -> None:
    job.future.cancel()
    job.future.set_running_or_notify_cancel()
