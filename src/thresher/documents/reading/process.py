"""One worker process as the pool sees it: requests out, answers in, with deadlines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from thresher.documents.reading.framing import Decoder, FramingError, encode
from thresher.documents.reading.pipes import open_pipes
from thresher.errors import ThresherError

_START_TIMEOUT_S = 60.0


class WorkerDiedError(Exception):
    """The process ended, or talks nonsense, in the middle of a document; ``str()`` says how."""


class WorkerTimeoutError(Exception):
    """No answer by the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """What one document may cost, and whether it may be put through OCR."""

    timeout_s: float = 30.0
    memory_limit_bytes: int = 1024**3
    file_limit_bytes: int = 512 * 1024**2
    ocr: bool = False

    @classmethod
    def for_ocr(cls) -> Self:
        """Limits for pages of pictures: seconds a page, and models that take 1 GiB of address space alone."""
        return cls(timeout_s=300.0, memory_limit_bytes=4 * 1024**3, ocr=True)


def worker_command() -> list[str]:
    """How a worker is started: this interpreter with this process's import path, without a ``__main__`` to import."""
    package_home = str(Path(__file__).parents[3])
    bootstrap = "import sys; sys.path[:] = sys.argv[1:]; from thresher.documents.reading.worker import main; main()"
    return [sys.executable, "-P", "-c", bootstrap, *filter(None, sys.path), package_home]


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """A process started meanwhile has SIGINT blocked from its first instruction on: Ctrl-C cannot kill it before it has
    begun to ignore the signal.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerProcess:
    """A started worker.

    The thread that makes it must outlive it: Linux kills the worker when that thread ends.

    Raises:
        ThresherError: it did not start; the message holds what it wrote to its standard error.
    """

    def __init__(self, limits: ReadLimits, command: Sequence[str]) -> None:
        self.retiring = False  # it asked to be replaced
        self._decoder = Decoder()
        with tempfile.TemporaryFile() as errors:
            try:
                with _sigint_blocked():
                    self._process = subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0
                    )
            except OSError as error:
                raise ThresherError(f"the document reader did not start: {error}") from error
            assert self._process.stdin is not None  # noqa: S101
            assert self._process.stdout is not None  # noqa: S101
            self._pipes = open_pipes(self._process.stdin, self._process.stdout)
            self._send({"parent": os.getpid(), **{name: getattr(limits, name) for name in ReadLimits.__slots__}})
            try:
                self._message(time.monotonic() + _START_TIMEOUT_S)
            except (WorkerDiedError, WorkerTimeoutError) as error:
                self.kill()
                errors.seek(0)
                said = errors.read()[-2000:].decode("utf-8", "replace").strip()
                raise ThresherError(f"the document reader did not start ({error}): {said or 'no message'}") from error

    def request(self, request: Mapping[str, Any]) -> None:
        """Ask for a document; answers come in the order of the requests."""
        self._send(request)

    def answer(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        """The next answer: header and text.

        Raises:
            WorkerTimeoutError: none by ``deadline`` (of ``time.monotonic``).
            WorkerDiedError: none will come.
        """
        header, body = self._message(deadline)
        self.retiring = bool(header.get("retire"))
        return header, body

    def kill(self) -> None:
        """End the process now. Safe twice."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel; it goes when it can
            self._process.wait(timeout=5)
        self._pipes.close()

    def terminate(self) -> None:
        """End the process from another thread; the thread that reads from it will see it die."""
        self._process.kill()

    def _send(self, header: Mapping[str, Any]) -> None:
        self._pipes.send(encode(header))

    def _message(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        try:
            while (message := self._decoder.next()) is None:
                data = self._pipes.receive(deadline)
                if not data:
                    raise WorkerDiedError(self._how_it_died())
                self._decoder.feed(data)
        except TimeoutError as error:
            raise WorkerTimeoutError("no answer in time") from error
        except FramingError as error:
            raise WorkerDiedError(f"the reader process sent {error}") from error
        return message

    def _how_it_died(self) -> str:
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "the reader process closed its output"
        if code >= 0:
            return f"the reader process ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the reader process was killed by {name}"
