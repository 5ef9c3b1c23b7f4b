"""A request on its way: what befell it, whether it is tried again, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from thresher.engines.servers.fault import DeadlineError, ServerError, ServerFailedError, TooLongError
from thresher.types import Failure, Request, Scores

_ATTEMPTS = 3
_ATTEMPTS_AT_DEADLINE = 2
_DEATHS = 2
#: No server has a typed field for the commonest cause of what one document does to it.
_SHORT_OF_MEMORY = (
    "the server's log says why; if it was short of memory, start it with a smaller context, a smaller batch or fewer "
    "requests at once, or have long documents cut (--context, --long), and try again with --retry-failed"
)


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way."""

    request: Request
    tokens: int
    failures: int = 0
    deaths: int = 0  # of servers that read it
    turned_away: int = 0  # times that its server seemed well, and then was not there for it
    turned_away_since_s: float = 0.0
    not_before_s: float = 0.0

    @property
    def alone(self) -> bool:
        """Whether nothing may be read beside it."""
        return self.deaths > 0 or self.turned_away > 1

    def was_turned_away(self) -> None:
        """By a server that is there for others, as far as is known."""
        if not self.turned_away:
            self.turned_away_since_s = time.monotonic()
        self.turned_away += 1

    def is_spent(self, fault: ServerError, document_s: float) -> bool:
        """Whether it had its attempts, ``fault`` the last; by servers that turn it away, also for long enough."""
        attempts = _ATTEMPTS_AT_DEADLINE if isinstance(fault, DeadlineError) else _ATTEMPTS
        if self.failures >= attempts or self.deaths >= _DEATHS:
            return True
        return self.turned_away >= _ATTEMPTS and time.monotonic() - self.turned_away_since_s > document_s

    def failed(self, fault: ServerError) -> Scores:
        """Its result, where ``fault`` was the last attempt's."""
        if isinstance(fault, TooLongError):
            return self.given_up("oversize", str(fault))
        reason = str(fault)
        if self.deaths:
            reason = f"the server went away {self.deaths} times while it read this document: {reason}"
        elif (attempts := max(self.failures, self.turned_away)) > 1:
            reason = f"{attempts} attempts failed, the last one: {reason}"
        if self.deaths or isinstance(fault, ServerFailedError):
            reason = f"{reason}; {_SHORT_OF_MEMORY}"
        return self.given_up("engine_error", reason)

    def given_up(self, status: Literal["oversize", "engine_error"], reason: str) -> Scores:
        """Its result without an answer."""
        return Scores(request_id=self.request.request_id, failure=Failure(status=status, reason=reason))


def in_order(requests: Sequence[Request]) -> list[Job]:
    """Requests of one prompt together, long ones first so that no server is left with one at the end."""
    ranks: dict[int, int] = {}
    jobs = [Job(request, _tokens(request)) for request in requests]
    return sorted(jobs, key=lambda job: (ranks.setdefault(id(job.request.prompt), len(ranks)), -job.tokens))


def _tokens(request: Request) -> int:
    return len(request.document_tokens) + sum(len(q.suffix_tokens) for q in request.prompt.questions)
