"""Gives requests to servers: to each as many as it takes, to the fast ones more, again where that may help.

A request whose server went away under it may be what killed it, so it is read again alone; one that was there twice
when its server went away is a failure, and the others go on. Where a gateway hides the server, or it says that it is
not ready, nothing tells a server that goes away from a request that makes it: so the request is taken for the cause
only when it met with nothing else for as long as a server is waited for, the last times alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from thresher.engines.servers.client.loop import Outlet
from thresher.engines.servers.client.retry import Backoff
from thresher.engines.servers.endpoint import Endpoint
from thresher.engines.servers.fault import (
    AbsentError,
    BusyError,
    DeadlineError,
    GatewayError,
    LoadingError,
    ServerError,
    UnreachableError,
)
from thresher.engines.servers.job import Job, in_order
from thresher.types import Request, Scores

_LOOK_AROUND_S = 0.5


@dataclass(slots=True)
class _Batch:
    """The requests of one call."""

    waiting: list[Job]  # of one prompt together, long ones first
    outlet: Outlet[Scores]
    running: set[asyncio.Task[None]] = field(default_factory=set)
    broken: BaseException | None = None  # a fault of ours, which ends the run
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A request is through."""
        self.running.discard(task)
        self.changed.set()
        if not task.cancelled() and task.exception() is not None:
            self.broken = task.exception()


class Dispatcher:
    """Runs in the engine's loop, one batch at a time."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._backoff = Backoff()

    async def read(self, requests: Sequence[Request], outlet: Outlet[Scores]) -> None:
        """Hand over one ``Scores`` for each request."""
        batch = _Batch(in_order(requests), outlet)
        try:
            while batch.waiting or batch.running:
                batch.changed.clear()
                await self._start(batch)
                if batch.waiting and not batch.running and all(endpoint.hopeless() for endpoint in self._endpoints):
                    await self._give_up(batch)
                await self._until_changed(batch)
                if batch.broken is not None:
                    raise batch.broken
        finally:
            for task in batch.running:
                task.cancel()
            await asyncio.gather(*batch.running, return_exceptions=True)

    async def _start(self, batch: _Batch) -> None:
        """Start all that can be started."""
        for endpoint in self._endpoints:
            while (job := self._next_for(endpoint, batch)) is not None:
                await batch.outlet.room()
                lane = endpoint.limit.take() if endpoint.up else None
                if lane is None:  # it fell, or takes fewer now, while there was no room
                    batch.outlet.give_room()
                    break
                batch.waiting.remove(job)
                endpoint.alone = job.alone
                task = asyncio.create_task(self._read_one(batch, endpoint, job, lane))
                batch.running.add(task)
                task.add_done_callback(batch.ended)

    def _next_for(self, endpoint: Endpoint, batch: _Batch) -> Job | None:
        limit = endpoint.limit
        if not endpoint.up or endpoint.alone or endpoint.pause_s() or limit.in_flight >= limit.allowed:
            return None
        now_s = time.monotonic()
        for job in batch.waiting:
            if job.not_before_s > now_s or (job.alone and limit.in_flight):
                continue
            return job if self._worth_taking(endpoint, job, batch) else None
        return None

    def _worth_taking(self, endpoint: Endpoint, job: Job, batch: _Batch) -> bool:
        """Whether the other servers would not be through with everything before this one is through with ``job``."""
        own_s = endpoint.seconds_for(job.tokens)
        others = [other for other in self._endpoints if other is not endpoint and other.up and not other.pause_s()]
        theirs_s = [seconds for other in others if (seconds := other.seconds_for(job.tokens)) is not None]
        if own_s is None or not theirs_s:
            return True
        speed = sum(other.tokens_per_second or 0.0 for other in others)
        return own_s <= sum(waiting.tokens for waiting in batch.waiting) / speed + min(theirs_s)

    async def _read_one(self, batch: _Batch, endpoint: Endpoint, job: Job, lane: int) -> None:
        limit, start_s = endpoint.limit, time.monotonic()
        try:
            scores = await endpoint.adapter.score(job.request, lane)
        except ServerError as fault:
            await self._after(fault, batch, endpoint, job, lane)
        else:
            seconds = time.monotonic() - start_s
            endpoint.was_read(job.request, scores.computed_tokens, seconds, limit.in_flight)
            batch.outlet.put(scores)
        finally:
            limit.give_back(lane)
            endpoint.alone = False

    async def _after(self, fault: ServerError, batch: _Batch, endpoint: Endpoint, job: Job, lane: int) -> None:
        """What a fault means for its request and its server."""
        if isinstance(fault, BusyError):
            endpoint.was_busy(fault)
        elif fault.of_server:
            job.deaths += isinstance(fault, UnreachableError) and fault.in_flight
            if isinstance(fault, (GatewayError, LoadingError, AbsentError)):
                job.was_turned_away()
            if endpoint.up:
                endpoint.fell(fault)
                if isinstance(fault, GatewayError) and fault.too_slow and job.turned_away == 1:
                    endpoint.limit.was_busy()
        else:
            job.failures += 1
            if isinstance(fault, DeadlineError):
                await endpoint.ask_how_it_is(lane)
        if (fault.passes or fault.of_server) and not job.is_spent(fault, endpoint.patience.document_s):
            self._again(batch, job)
        else:
            batch.outlet.put(job.failed(fault))

    def _again(self, batch: _Batch, job: Job) -> None:
        if times := job.failures + job.turned_away:
            job.not_before_s = time.monotonic() + self._backoff.pause_s(times)
        batch.waiting.insert(0, job)
        batch.outlet.give_room()

    async def _give_up(self, batch: _Batch) -> None:
        reasons = "; ".join(str(endpoint.trouble) for endpoint in self._endpoints)
        while batch.waiting:
            await batch.outlet.room()
            job = batch.waiting.pop(0)
            batch.outlet.put(job.given_up("engine_error", f"no server could be reached any more: {reasons}"))

    async def _until_changed(self, batch: _Batch) -> None:
        """Until a request is through, or something else may have changed."""
        if not batch.waiting and not batch.running:
            return
        try:
            async with asyncio.timeout(self._pause_s(batch)):
                await batch.changed.wait()
        except TimeoutError:
            pass

    def _pause_s(self, batch: _Batch) -> float | None:
        """None while there is nothing to start."""
        if not batch.waiting:
            return None
        now_s = time.monotonic()
        soonest = [job.not_before_s - now_s for job in batch.waiting] + [e.pause_s() for e in self._endpoints]
        return min(_LOOK_AROUND_S, max(0.005, min((s for s in soonest if s > 0), default=_LOOK_AROUND_S)))
