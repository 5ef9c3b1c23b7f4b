"""An event loop in a thread of its own, for callers that are not asynchronous."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from thresher.errors import EngineError

T = TypeVar("T")
_END = object()
#: A transport that is closed lets its socket go in a later turn of the loop.
_SOCKETS_CLOSE_S = 0.01


class Outlet(Generic[T]):
    """What a coroutine hands to the caller's thread; no more than ``capacity`` wait there or are being made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, capacity: int) -> None:
        self._loop = loop
        self._room = asyncio.Semaphore(capacity)
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.task: asyncio.Task[None] | None = None  # that fills it

    async def room(self) -> None:
        """Wait until there is room for one more; before its making begins."""
        await self._room.acquire()

    def give_room(self) -> None:
        """What room was waited for is not made now."""
        self._room.release()

    def put(self, item: T) -> None:
        """Hand over what room was waited for."""
        self._ready.put(item)

    def finish(self, future: concurrent.futures.Future[None]) -> None:
        """Nothing more comes."""
        self._ready.put((_END, future))

    async def stop(self) -> None:
        """Cancel what fills it, and wait until that has ended."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._ready.get()
            if isinstance(item, tuple) and item[0] is _END:
                item[1].result()
                return
            self._loop.call_soon_threadsafe(self._room.release)
            yield item


class LoopThread:
    """Runs coroutines beside the caller. ``close`` may be called twice."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``; an interrupt of the caller cancels it."""
        future = self._submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stream(self, work: Callable[[Outlet[T]], Awaitable[None]], capacity: int) -> Iterator[T]:
        """What ``work`` puts into its outlet, as it comes. Leaving the iterator cancels ``work`` and waits for that."""
        outlet: Outlet[T] = Outlet(self._loop, capacity)
        future = self._submit(_whole(work, outlet))
        future.add_done_callback(outlet.finish)
        try:
            yield from outlet
        finally:
            if not future.done() and not self._loop.is_closed():
                self.run(outlet.stop())

    def close(self) -> None:
        """Cancel what still runs and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_wind_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        if self._loop.is_closed():
            work.close()
            raise EngineError("the engine is closed; open a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _whole(work: Callable[[Outlet[T]], Awaitable[None]], outlet: Outlet[T]) -> None:
    outlet.task = asyncio.current_task()
    await work(outlet)


async def _wind_up() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
    await asyncio.sleep(_SOCKETS_CLOSE_S)
