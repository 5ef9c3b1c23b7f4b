"""A reader worker whose parser does what a file's first line says: the accidents that the pool must survive."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

from thresher.documents.reading import worker


def parse(data: bytes, name: str) -> tuple[str, str]:
    """Follow the order in the file."""
    order, _, argument = data.decode().strip().partition(" ")
    if order == "sleep":
        time.sleep(float(argument))
    elif order == "spin":
        while True:
            pass
    elif order == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif order == "null":
        ctypes.string_at(0)
    elif order == "exit":
        os._exit(int(argument))
    elif order == "allocate":
        bytearray(int(argument))
    elif order == "recurse":
        parse(data, name)
    elif order == "raise":
        raise KeyError(argument)
    elif order == "print":
        sys.stdout.write(argument)
        sys.stdout.flush()
        os.write(1, argument.encode())
    elif order == "babble":
        os.write(_find_answers(), b"\xff" * 64)
    elif order == "large":
        return "text/plain", "é" * int(argument)
    return "text/plain", f"{os.getpid()}"


def _find_answers() -> int:
    """The pipe to the pool: the highest descriptor in use."""
    return max(int(name) for name in os.listdir("/proc/self/fd") if _is_pipe(int(name)))


def _is_pipe(descriptor: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:")
    except OSError:
        return False


if __name__ == "__main__":
    if "refuse" in sys.argv:
        sys.exit("this worker does not start")
    if "few" in sys.argv:
        worker.DOCUMENTS_PER_WORKER = 3
    worker.main(parse)
