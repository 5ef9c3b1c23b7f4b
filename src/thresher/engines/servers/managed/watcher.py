"""A small process between Thresher and a server: whatever becomes of Thresher, the server and its children end.

The order comes as one line of JSON on standard input, which stays open: its end, however it comes about, is the sign to
stop. What happened is told in lines of JSON on standard output.

Everything is done by portable means where there are any. Linux does more: processes that the server leaves behind come
to the watcher instead of to init, so that those in another session are found, too; and the server is killed with the
watcher. That signal is bound to the *thread* that started the server, which is why the main thread does and stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

import psutil

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_POLL_S = 0.1
_CLEANUP_TIMEOUT_S = 60
_KILL_TIMEOUT_S = 5
#: A log beyond its limit is cut to this much of its end.
_LOG_TAIL_BYTES = 1 << 20


def main() -> None:
    """Run the server of the order until it ends or Thresher does."""
    order = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with open(order["log"], "ab", buffering=0) as log:  # noqa: PTH123  (nothing else is needed from pathlib)
        try:
            server = _start(order["command"], log)
        except OSError as error:
            _tell(error=error.strerror or str(error))
            return
        _tell(pid=server.pid)
        parent = os.getppid()
        while server.poll() is None and not stop.wait(_POLL_S) and _has_parent(parent):
            _limit(log, order["log_limit_bytes"])
        end_all(server, order["grace_s"])
        _clean_up(order["cleanup"], log)
    _tell(exit_code=server.returncode)


def _start(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    prctl = _prctl()
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if sys.platform == "win32":
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        process_group=0,
        preexec_fn=lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # no other thread of this process holds a lock
    )


def _prctl() -> Callable[[int, int], object]:
    if sys.platform != "linux":
        return lambda _option, _value: None
    library = ctypes.CDLL(None)
    return lambda option, value: library.prctl(option, value, 0, 0, 0)


def _wait_for_end_of_input(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):  # not through sys.stdin, whose lock would be held when the interpreter ends
            pass
    stop.set()


def _has_parent(parent: int) -> bool:
    """A process forked from Thresher may hold the pipe open after it."""
    return sys.platform == "win32" or os.getppid() == parent


def end_all(server: subprocess.Popen[bytes], grace_s: float) -> None:
    """End the server, kindly at first, and then everything that it started."""
    if server.poll() is None:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(grace_s)
    _kill_group(server.pid)
    with contextlib.suppress(subprocess.TimeoutExpired):  # first, or psutil would take its exit code
        server.wait(_KILL_TIMEOUT_S)
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        _, alive = psutil.wait_procs(children, timeout=_KILL_TIMEOUT_S)
        if alive:  # stuck in the kernel; they go when they can
            break


def _kill_group(group: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _limit(log: IO[bytes], limit_bytes: int) -> None:
    """Keep the end of a log that has grown too long. The server appends, so it goes on after what is kept."""
    if os.fstat(log.fileno()).st_size <= limit_bytes:
        return
    with open(log.name, "rb") as written:  # noqa: PTH123
        written.seek(-_LOG_TAIL_BYTES, os.SEEK_END)
        tail = written.read()
    os.ftruncate(log.fileno(), 0)
    log.write(b"[the log was too long; its end is kept]\n" + tail)


def _clean_up(command: list[str], log: IO[bytes]) -> None:
    if command:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=_CLEANUP_TIMEOUT_S, check=False
            )


def _tell(**what: Any) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
