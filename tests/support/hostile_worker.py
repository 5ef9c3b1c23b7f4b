"""A reader worker whose parser does what a file's first line says: the accidents that the pool must survive."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from thresher.documents.reading import worker


def parse(data: bytes, name: str) -> tuple[str, str]:
    """Follow the order in the file; the text is the process id, so that tests see who read it."""
    order, _, argument = data.decode().strip().partition(" ")
    return "text/plain", ORDERS[order](argument) or str(os.getpid())


def spin(_: str) -> None:
    while True:
        pass


def recurse(argument: str) -> None:
    recurse(argument)


def fail(argument: str) -> None:
    raise KeyError(argument)


def say(argument: str) -> None:
    sys.stdout.write(argument)
    sys.stdout.flush()
    os.write(1, argument.encode())


def babble(_: str) -> None:
    """Write nonsense to the pipe to the pool: the highest descriptor that is a pipe."""
    pipes = [
        entry for entry in Path("/proc/self/fd").iterdir() if os.path.realpath(entry).rpartition("/")[2][:5] == "pipe:"
    ]
    os.write(max(int(entry.name) for entry in pipes), b"\xff" * 64)


ORDERS: dict[str, Callable[[str], str | None]] = {
    "echo": lambda _: None,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "spin": spin,
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "null": lambda _: str(ctypes.string_at(0)),
    "exit": lambda code: os._exit(int(code)),
    "allocate": lambda size: str(len(bytearray(int(size)))),
    "recurse": recurse,
    "raise": fail,
    "print": say,
    "babble": babble,
    "large": lambda size: "é" * int(size),
}

if __name__ == "__main__":
    if "refuse" in sys.argv:
        sys.exit("this worker does not start")
    if "few" in sys.argv:
        worker.DOCUMENTS_PER_WORKER = 3
    worker.main(parse)
