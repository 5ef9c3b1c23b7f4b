"""A server's calls for other threads than its loop's: tokenizing happens beside the scoring."""

from __future__ import annotations

import asyncio
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
    """Made within the loop; called from outside of it. Faults that pass are sat out for a while."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def post(self, path: str, body: Any) -> Any:
        """The JSON that ``path`` answers ``body`` with. Raises ``ServerError``."""
        return self._run(self._ask(path, body))

    def post_all(self, path: str, bodies: Sequence[Any]) -> list[Any]:
        """The answers to ``bodies`` in their order, several asked at once. Raises ``ServerError``."""

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*(self._ask(path, body) for body in bodies))

        return self._run(all_of_them())

    async def _ask(self, path: str, body: Any) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._room:
                    return await self._client.post(path, body)
            except ServerError as fault:
                if not fault.passes or attempt == _ATTEMPTS:
                    raise
            await asyncio.sleep(Backoff().pause_s(attempt))
        raise AssertionError

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise EngineError("the engine is closed; open a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
