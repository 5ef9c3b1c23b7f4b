"""A bounded queue between two stages: bounded by weight, so that memory does not depend on the documents."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.2


class StageStoppedError(Exception):
    """The run is to stop; the stage ends without an error."""


class WeightedQueue(Generic[T]):
    """First in, first out; ``put`` waits while the queue holds ``capacity`` or more (an item over it fits alone).

    Both sides look at ``should_stop`` while they wait, so a run that is to stop is never stuck in a queue.
    """

    def __init__(self, capacity: int, should_stop: Callable[[], bool]) -> None:
        self._capacity = capacity
        self._should_stop = should_stop
        self._items: deque[tuple[T, int]] = deque()
        self._weight = 0
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T, weight: int) -> None:
        """Add ``item``. Raises ``StageStoppedError`` when the run is to stop."""
        with self._changed:
            while self._weight >= self._capacity and not self._should_stop():
                self._changed.wait(_POLL_S)
            if self._should_stop():
                raise StageStoppedError
            self._items.append((item, weight))
            self._weight += weight
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """No more items will come; with ``error``, ``get`` raises it after the items put before."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()

    def get(self, max_items: int, max_weight: int, linger_s: float = 0.0) -> list[T]:
        """Take up to ``max_items`` items of up to ``max_weight`` together (one at least).

        Waits for the first item, then up to ``linger_s`` seconds for a full batch. The list is empty at the end, and
        when the run is to stop.
        """
        with self._changed:
            while not (self._items or self._closed or self._should_stop()):
                self._changed.wait(_POLL_S)
            deadline = time.monotonic() + linger_s
            while not (self._closed or self._should_stop() or self._is_full(max_items, max_weight)):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(min(remaining, _POLL_S))
            if self._should_stop():
                return []
            taken = self._take(max_items, max_weight)
            if not taken and self._error is not None:
                raise self._error
            return taken

    def _is_full(self, max_items: int, max_weight: int) -> bool:
        return len(self._items) >= max_items or self._weight >= min(max_weight, self._capacity)

    def _take(self, max_items: int, max_weight: int) -> list[T]:
        taken: list[T] = []
        weight = 0
        while self._items and len(taken) < max_items and (not taken or weight + self._items[0][1] <= max_weight):
            item, item_weight = self._items.popleft()
            taken.append(item)
            weight += item_weight
        self._weight -= weight
        self._changed.notify_all()
        return taken
