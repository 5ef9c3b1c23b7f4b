"""An engine over a server that Thresher started: reads through it, and ends with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from thresher.closing import Closing
from thresher.engines.base import EngineInfo
from thresher.engines.servers.engine import ServerEngine
from thresher.engines.servers.managed.supervisor import Supervisor
from thresher.errors import EngineError
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores


class ManagedEngine(Closing):
    """Made by :func:`~thresher.engines.servers.managed.opening.open_managed`.

    The server is started again when it dies, at the same place, and ``inner`` reads what was in flight again, alone; so
    only a request that was being read twice when it died fails. ``resources`` are all that was opened, both included.
    """

    def __init__(
        self, inner: ServerEngine, supervisor: Supervisor, info: EngineInfo, resources: contextlib.ExitStack
    ) -> None:
        self._inner = inner
        self._supervisor = supervisor
        self._resources = resources
        self._info = info
        supervisor.watch_for_trouble(inner.is_away)

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's."""
        return self._inner.tokenizer

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        """See :class:`thresher.engines.base.Engine`. Raises ``EngineError`` once the server died too often in a row."""
        scores = self._inner.score(requests)
        return self._watched(scores)

    def _watched(self, found: Iterator[Scores]) -> Iterator[Scores]:
        for scores in found:
            if scores.failure is None:
                self._supervisor.progressed()
            elif (failure := self._supervisor.failure) is not None:
                raise EngineError(str(failure)) from failure
            yield scores

    def close(self) -> None:
        """Stop the server. Safe to call twice."""
        self._resources.close()
