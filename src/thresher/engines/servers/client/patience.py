"""How long to wait for a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from thresher.engines.servers.fault import BusyError, LoadingError, ServerError

#: A server that answers that it is loading or busy is waited for so many times as long as one that does not answer.
_WITH_SIGNS_OF_LIFE = 10
_LONGEST_FOR_DOCUMENT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """With one server. What it says of when to come again is waited for on top."""

    deadline_s: float = 600.0  # for the answer to one request
    away_s: float = 60.0  # for a server that is gone to come back
    given_up: Callable[[], bool] = lambda: False  # whether whoever keeps the server running has given it up

    def lasts(self, fault: ServerError, since_s: float) -> bool:
        """Whether a server in trouble since ``since_s`` of the steady clock, of late with ``fault``, is waited for."""
        if self.given_up():
            return False
        patience_s = self.away_s + (fault.retry_after_s or 0.0)
        if isinstance(fault, (LoadingError, BusyError)):
            patience_s += self.away_s * (_WITH_SIGNS_OF_LIFE - 1)
        return time.monotonic() - since_s <= patience_s

    @property
    def document_s(self) -> float:
        """From a document's first answer that its server is away, though it seemed well, to the last that counts."""
        return min(self.away_s, _LONGEST_FOR_DOCUMENT_S)
