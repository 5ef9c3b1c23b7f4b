"""Ctrl-C as a wish to stop: the first lets the batch in flight finish, the second stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stop_on_interrupt(stop: threading.Event, announce: Callable[[str], None]) -> Iterator[None]:
    """Set ``stop`` at the first SIGINT or SIGTERM; a second one raises ``KeyboardInterrupt``.

    Does nothing outside the main thread, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        announce("stopping: the batch in flight is finished and stored first (press Ctrl-C again to stop at once)")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
