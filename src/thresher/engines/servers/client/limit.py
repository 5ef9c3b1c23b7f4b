"""How many requests a server gets at once: as many as it says it has slots for, else as many as make it faster.

Where a server does not say, the limit climbs: when a window of requests at the present limit was read faster, in
tokens a second, than the best before, it is raised by half; when twice in a row it was not, it goes back to the best
and stays there. So the latency that a server reaches by queueing never counts as speed. A server that says it is busy
halves the limit, whatever it was; after a while without that, it may climb to where it was.
"""

from __future__ import annotations

import math

START = 8
MOST = 256
_FASTER = 1.05
#: A window has at least so many requests, and two for each lane: one that the lane began with, and one in full swing.
_LEAST_WINDOW = 16
_FAILURES_TO_SETTLE = 2
#: Requests read without a complaint before a halved limit rises by one.
_CALM_REQUESTS = 32


class Limit:
    """``slots`` is what the server says; None to find out. Times are seconds of any steady clock."""

    def __init__(self, slots: int | None = None, *, start: int = START, most: int = MOST) -> None:
        self._ceiling = slots or most
        self._climbing = slots is None
        self.allowed = min(slots or start, self._ceiling)  # requests at once
        self._taken: set[int] = set()
        self._free: list[int] = []
        self._best = (0.0, self.allowed)  # tokens a second, and the limit that gave them
        self._without_gain = 0
        self._calm = 0
        self._window_start: float | None = None
        self._window_requests = 0
        self._window_tokens = 0

    @property
    def in_flight(self) -> int:
        """Lanes taken."""
        return len(self._taken)

    def take(self) -> int | None:
        """The smallest free lane; None when the limit is reached."""
        if len(self._taken) >= self.allowed:
            return None
        lane = next(lane for lane in range(len(self._taken) + 1) if lane not in self._taken)
        self._taken.add(lane)
        return lane

    def give_back(self, lane: int) -> None:
        """The request of this lane is over, however it ended."""
        self._taken.discard(lane)

    def was_read(self, tokens: int, now_s: float) -> None:
        """A request of so many computed tokens was answered."""
        self._recover()
        if not self._climbing:
            return
        if self._window_start is None:
            self._window_start = now_s
            return
        self._window_requests += 1
        self._window_tokens += tokens
        if self._window_requests >= max(_LEAST_WINDOW, 2 * self.allowed) and now_s > self._window_start:
            self._judge(self._window_tokens / (now_s - self._window_start))
            self._begin_window(now_s)

    def was_busy(self) -> None:
        """The server said that it had too much to do."""
        self.allowed = max(1, self.allowed // 2)
        self._calm = 0
        self._climbing = False
        self._ceiling = min(self._ceiling, max(1, 2 * self.allowed))

    def paused(self) -> None:
        """Nothing was sent for a while: what is being measured says nothing."""
        self._begin_window(None)

    def _begin_window(self, now_s: float | None) -> None:
        self._window_start = now_s
        self._window_requests = 0
        self._window_tokens = 0

    def _judge(self, tokens_per_second: float) -> None:
        if tokens_per_second > self._best[0] * _FASTER:
            self._best = (tokens_per_second, self.allowed)
            self._without_gain = 0
        else:
            self._without_gain += 1
        if self._without_gain >= _FAILURES_TO_SETTLE:
            self.allowed = self._ceiling = self._best[1]
            self._climbing = False
        else:
            self.allowed = min(self._ceiling, math.ceil(self.allowed * 1.5))

    def _recover(self) -> None:
        self._calm += 1
        if not self._climbing and self.allowed < self._ceiling and self._calm >= _CALM_REQUESTS:
            self._calm = 0
            self.allowed += 1
