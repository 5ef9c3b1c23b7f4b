"""One of the engine's servers: whether it is there, how many requests it gets at once, how fast it is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from thresher.engines.servers.adapter import Adapter, AdapterKind, Wishes
from thresher.engines.servers.client.limit import Limit
from thresher.engines.servers.client.patience import Patience
from thresher.engines.servers.client.retry import Backoff
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import (
    AbsentError,
    BadRequestError,
    BusyError,
    DeadlineError,
    ServerError,
    TooLongError,
    UnreachableError,
)
from thresher.errors import ThresherError
from thresher.types import Request

#: A server that came back so many times without reading anything is given up.
_MOST_RETURNS_IN_VAIN = 25
_CLEARING_S = 5.0
_LONGEST_PAUSE_S = 5.0  # between two questions whether it is back
#: For a request that was read before, to be read again by a server that may have got stuck.
_LEAST_TIME_S, _TIMES_AS_LONG = 30.0, 20.0
_NEWEST_SHARE = 0.2  # of a new measurement in the speed


class Endpoint:
    """A server with its adapter. ``up`` while requests may be sent; a server that is away is asked until it is back."""

    def __init__(
        self,
        name: str,
        kind: AdapterKind,
        client: Client,
        adapter: Adapter,
        wishes: Wishes,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``say`` is told when the server goes away and when it reads again."""
        self.name = name
        self.client = client
        self.adapter = adapter
        self.limit = Limit(adapter.facts.slots)
        self.alone = False  # a request is being read that nothing may be read beside
        self.trouble: ServerError | None = None
        self._kind = kind
        self._wishes = wishes
        self._say = say
        self._told_away = False
        self._trouble_since_s = 0.0
        self._useless = False
        self._busy_times = 0
        self._returns_in_vain = 0
        self._proving = False
        self._example: tuple[Request, float] | None = None  # the shortest that was read, and its seconds
        self._left: list[Adapter] = []  # adapters of the time before the server was away
        self._paused_until_s = 0.0
        self._reviving: asyncio.Task[None] | None = None
        self._tokens_per_second: float | None = None
        self._measured_at_once = 1

    @property
    def up(self) -> bool:
        """Whether requests may be sent to it."""
        return self._reviving is None and not self._proving and not self._useless

    @property
    def patience(self) -> Patience:
        """With it."""
        return self.client.patience

    def pause_s(self) -> float:
        """How long it wants to be left alone."""
        return max(0.0, self._paused_until_s - time.monotonic())

    def hopeless(self) -> bool:
        """Whether it has been in trouble for longer than it is waited for."""
        if self.trouble is None:
            return False
        if self._useless or self._returns_in_vain > _MOST_RETURNS_IN_VAIN:
            return True
        return not self.patience.lasts(self.trouble, self._trouble_since_s)

    def was_read(self, request: Request, tokens: int, seconds: float, at_once: int) -> None:
        """A request, of which so many tokens were computed, took so long, with so many in flight."""
        if self._example is None or len(request.document_tokens) <= len(self._example[0].document_tokens):
            self._example = request, seconds
        self.trouble, self._busy_times, self._returns_in_vain = None, 0, 0
        if self._told_away:
            self._told_away = False
            self._say(f"{self.client.address}: reads again")
        self.limit.was_read(tokens, time.monotonic())
        speed = tokens * at_once / max(seconds, 1e-6)
        known = self._tokens_per_second
        self._tokens_per_second = speed if known is None else known + _NEWEST_SHARE * (speed - known)
        self._measured_at_once = at_once

    @property
    def tokens_per_second(self) -> float | None:
        """As measured of late, all its lanes together; None before the first answer."""
        return self._tokens_per_second

    def seconds_for(self, tokens: int) -> float | None:
        """How long a request of so many tokens would take it; None where nothing is known."""
        return None if not self._tokens_per_second else tokens * self._measured_at_once / self._tokens_per_second

    def was_busy(self, fault: BusyError) -> None:
        """It takes no more for now. One complaint of several that come together halves the limit."""
        if not self.pause_s():
            self._busy_times += 1
            self.limit.was_busy()
        wish_s = fault.retry_after_s
        pause_s = Backoff().pause_s(self._busy_times) if wish_s is None else wish_s + Backoff().pause_s(1)
        self._paused_until_s = max(self._paused_until_s, time.monotonic() + pause_s)
        self._note(fault)

    def fell(self, fault: ServerError) -> None:
        """It cannot be reached, or is of no use. Asks until it is back, unless that would not help."""
        self._note(fault)
        self.limit.paused()
        if not fault.passes and not (isinstance(fault, AbsentError) and fault.by_page):
            self._useless = True
        elif self._reviving is None:
            if not self._told_away:  # of servers that come back in vain once, too
                self._told_away = True
                self._say(f"{fault}; it is asked until it is back")
            is_silent = isinstance(fault, DeadlineError)
            self._reviving = asyncio.get_running_loop().create_task(self._revive(must_read=is_silent))

    async def ask_how_it_is(self, lane: int) -> None:
        """After the request of ``lane`` got no answer; it falls where it gives none now.

        Some say that they are well while they read nothing, so it is also given what it has read before.
        """
        if not self.up:  # known, or being asked
            return
        self._proving = True
        try:
            await self.adapter.check()
            await self._read_again(self.adapter, lane)
        except ServerError as fault:
            self.fell(fault)
        finally:
            self._proving = False

    async def _read_again(self, adapter: Adapter, lane: int) -> None:
        """Read the shortest of what was read, or have it refused.

        Raises ``ServerError``, also where it takes far longer than then.
        """
        if self._example is None:
            return
        request, seconds = self._example
        limit_s = max(_LEAST_TIME_S, _TIMES_AS_LONG * seconds)
        try:
            async with asyncio.timeout(limit_s):
                with contextlib.suppress(BadRequestError, TooLongError):
                    await adapter.score(request, lane)
        except TimeoutError as error:
            reason = f"{self.client.address}: it says that it is well, and reads nothing within {limit_s:.0f} s"
            raise DeadlineError(reason) from error

    async def close(self) -> None:
        """Leave nothing behind."""
        if self._reviving is not None:
            self._reviving.cancel()
        elif self.trouble is None:
            self._left.append(self.adapter)
            await self._clear()
        await self.client.close()

    async def _clear(self) -> None:
        """Remove what adapters of earlier left on the server."""
        left, self._left = self._left, []
        with contextlib.suppress(ServerError, TimeoutError):  # it is told at its next start
            async with asyncio.timeout(_CLEARING_S):
                for adapter in left:
                    await adapter.close()

    def _note(self, fault: ServerError) -> None:
        if self.trouble is None:
            self._trouble_since_s = time.monotonic()
        self.trouble = fault

    async def _revive(self, *, must_read: bool) -> None:
        backoff, failures = Backoff(most_s=_LONGEST_PAUSE_S), self._returns_in_vain
        while True:
            wish_s = 0.0 if self.trouble is None else self.trouble.retry_after_s or 0.0
            await asyncio.sleep(max(wish_s, backoff.pause_s(failures) if failures else 0.0))
            try:
                adapter = await self._kind.connect(self.client, self._wishes)
                if must_read and adapter.facts.model_fingerprint == self.adapter.facts.model_fingerprint:
                    await self._read_again_somewhere(adapter)
                break
            except UnreachableError as fault:
                must_read = False  # what comes back after that is another process
                self._note(fault)
            except ServerError as fault:
                self._note(fault)
            except Exception as error:  # noqa: BLE001 - it came back as something else, and whoever waits must learn it
                reason = str(error) if isinstance(error, ThresherError) else f"{self.client.address}: {error!r}"
                self._useless, self.trouble, self._reviving = True, AbsentError(reason), None
                return
            failures += 1
        self._left.append(self.adapter)
        if not self.limit.in_flight:  # else what they left may still be in use
            await self._clear()
        self._came_back(adapter)

    async def _read_again_somewhere(self, adapter: Adapter) -> None:
        limit = self.limit
        lane = limit.take()
        if lane is None:  # what is being read will tell
            return
        try:
            if lane < (adapter.facts.slots or lane + 1):
                await self._read_again(adapter, lane)
        finally:
            limit.give_back(lane)

    def _came_back(self, adapter: Adapter) -> None:
        self._returns_in_vain += 1
        known, found = self.adapter.facts, adapter.facts
        if found.model_fingerprint != known.model_fingerprint:
            self.trouble = AbsentError(
                f"{self.client.address}: serves {found.model} now, and this run began with {known.model}; start the "
                "model again that the run began with, or run the command again for the new one"
            )
            self._useless = True
        elif not isinstance(self.trouble, BusyError):
            self.trouble = None
        self.adapter = adapter
        if found.slots != known.slots:
            self.limit = Limit(found.slots)
        self._reviving = None


async def close_all(endpoints: Sequence[Endpoint]) -> None:
    """Close each of them."""
    for endpoint in endpoints:
        await endpoint.close()
