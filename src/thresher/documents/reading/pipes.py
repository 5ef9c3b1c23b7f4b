"""The two pipes to a worker process: bytes out without blocking, bytes in with a deadline."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
import time
from typing import IO, Protocol

_CHUNK_BYTES = 1024 * 1024
_CHUNKS_AHEAD = 4
_POLL_S = 0.1
_JOIN_TIMEOUT_S = 5.0


class Pipes(Protocol):
    """What :class:`~thresher.documents.reading.process.WorkerProcess` talks through; used by one thread."""

    def send(self, data: bytes) -> None:
        """Send now what the pipe takes, and the rest while waiting; a worker that is gone is noticed on receiving."""

    def receive(self, deadline: float) -> bytes:
        """What came; empty at the end. Raises ``TimeoutError`` at ``deadline`` (of ``time.monotonic``)."""

    def close(self) -> None:
        """Close both; the process must have been killed before."""


def open_pipes(to_worker: IO[bytes], from_worker: IO[bytes]) -> Pipes:
    """Polled where the system can poll pipes; elsewhere (Windows) with a thread for each direction."""
    if hasattr(select, "poll"):
        return PolledPipes(to_worker, from_worker)
    return ThreadedPipes(to_worker, from_worker)


class PolledPipes:
    """See :class:`Pipes`."""

    def __init__(self, to_worker: IO[bytes], from_worker: IO[bytes]) -> None:
        self._to_worker, self._from_worker = to_worker, from_worker
        self._unsent = bytearray()
        os.set_blocking(to_worker.fileno(), False)

    def send(self, data: bytes) -> None:
        """See :class:`Pipes`."""
        self._unsent += data
        self._write()

    def receive(self, deadline: float) -> bytes:
        """See :class:`Pipes`."""
        while True:
            poll = select.poll()
            poll.register(self._from_worker, select.POLLIN)
            if self._unsent:
                poll.register(self._to_worker, select.POLLOUT)
            left_ms = max(0, int((deadline - time.monotonic()) * 1000))
            events = dict(poll.poll(left_ms))
            if self._from_worker.fileno() in events:
                return os.read(self._from_worker.fileno(), _CHUNK_BYTES)
            if not events and time.monotonic() >= deadline:
                raise TimeoutError
            if events:
                self._write()

    def close(self) -> None:
        """See :class:`Pipes`."""
        self._to_worker.close()
        self._from_worker.close()

    def _write(self) -> None:
        try:
            sent = os.write(self._to_worker.fileno(), self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()  # it is gone; reading says so
            return
        del self._unsent[:sent]


class ThreadedPipes:
    """See :class:`Pipes`."""

    def __init__(self, to_worker: IO[bytes], from_worker: IO[bytes]) -> None:
        self._to_worker, self._from_worker = to_worker, from_worker
        self._unsent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._received: queue.Queue[bytes] = queue.Queue(_CHUNKS_AHEAD)
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write_all, self._read_all)]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> None:
        """See :class:`Pipes`."""
        self._unsent.put(data)

    def receive(self, deadline: float) -> bytes:
        """See :class:`Pipes`."""
        try:
            data = self._received.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if not data:
            self._received.put(data)  # the end stays the end
        return data

    def close(self) -> None:
        """See :class:`Pipes`."""
        self._closed.set()
        self._unsent.put(None)
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)  # a process that the worker started may hold its pipes
        self._to_worker.close()
        self._from_worker.close()

    def _write_all(self) -> None:
        while (data := self._unsent.get()) is not None:
            with contextlib.suppress(OSError):  # it is gone; reading says so
                left = memoryview(data)
                while left:
                    left = left[os.write(self._to_worker.fileno(), left) :]

    def _read_all(self) -> None:
        data = b"more"
        while data and not self._closed.is_set():
            try:
                data = os.read(self._from_worker.fileno(), _CHUNK_BYTES)
            except OSError:
                data = b""
            self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._received.put(data, timeout=_POLL_S)
                return
