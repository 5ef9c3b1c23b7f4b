"""A server's calls beside the scoring, also for other threads than its loop's: tokenizing and rendering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from thresher.engines.servers.client.retry import Backoff
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import ServerError
from thresher.errors import EngineError

T = TypeVar("T")
_AT_ONCE = 8
_ATTEMPTS = 6


class Remote:
    """Made within the loop. Faults that pass are sat out: no text is lost to a server that is away for a while.

    A server that is away for longer than it is waited for is asked once for each text from then on.
    """

    def __init__(self, client: Client, *, at_once: int = _AT_ONCE) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(at_once)
        self._away_since_s: float | None = None

    def post(self, path: str, body: Any) -> Any:
        """The JSON that ``path`` answers ``body`` with, for callers outside the loop. Raises ``ServerError``."""
        return self.run(self.ask(path, body))

    def post_all(self, path: str, bodies: Sequence[Any]) -> list[Any]:
        """The answers to ``bodies`` in their order, several asked at once. Raises ``ServerError``."""

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(self.ask(path, body) for body in bodies))

        return self.run(all_of_them())

    async def ask(self, path: str, body: Any) -> Any:
        """As ``post``, within the loop."""
        failures = attempts = 0
        while True:
            try:
                async with self._room:
                    answer = await self._client.post(path, body)
                self._away_since_s = None
                return answer
            except ServerError as fault:
                attempts += not fault.of_server
                if not fault.passes or attempts >= _ATTEMPTS or (fault.of_server and not self._waits_for(fault)):
                    raise
                wish_s = fault.retry_after_s or 0.0
            failures += 1
            await asyncio.sleep(max(wish_s, Backoff().pause_s(failures)))

    def _waits_for(self, fault: ServerError) -> bool:
        if self._away_since_s is None:
            self._away_since_s = time.monotonic()
        return self._client.patience.lasts(fault, self._away_since_s)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives in the loop, waited for outside of it. Raises ``EngineError`` once the loop has ended."""
        if self._loop.is_closed():
            work.close()
            raise EngineError("the engine is closed; open a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
