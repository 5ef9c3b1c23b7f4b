"""Figures and times as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FIGURE = re.compile(r"\d[\d.,]*")


def without_figures(reason: str) -> str:
    """A reason without its numbers, so that failures of one kind are told as one."""
    return _FIGURE.sub("#", reason)


def share(part: int, whole: int) -> str:
    """A part in percent, with one place behind the point."""
    return f"{part / whole:.1%}" if whole else "-"


def moment(seconds: float) -> str:
    """Seconds since the epoch as date and time, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
