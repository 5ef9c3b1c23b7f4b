"""When to come again: exponential back-off with full jitter, or when the server says."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass

_LONGEST_WISH_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses that double from ``first_s`` up to ``most_s``, each drawn evenly between 0 and that.

    Full jitter, so that callers who failed together do not come back together (the AWS Architecture Blog's
    "Exponential Backoff And Jitter" has the comparison).
    """

    first_s: float = 0.25
    most_s: float = 15.0

    def pause_s(self, failures: int) -> float:
        """Before coming again after so many failures in a row, at least 1."""
        ceiling = min(self.most_s, self.first_s * 2 ** min(failures - 1, 30))
        return random.uniform(0, ceiling)  # noqa: S311 - no secret


def retry_after_seconds(value: str | None) -> float | None:
    """The header ``Retry-After``: seconds or a date (RFC 9110, 10.2.3). None where it is absent or makes no sense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(0.0, seconds), _LONGEST_WISH_S) if seconds == seconds else None
