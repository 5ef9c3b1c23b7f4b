"""Sizes as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from thresher.errors import UsageError

_UNITS: Mapping[str, int] = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "kib": 1 << 10,
    "m": 10**6, "mb": 10**6, "mib": 1 << 20,
    "g": 10**9, "gb": 10**9, "gib": 1 << 30,
    "t": 10**12, "tb": 10**12, "tib": 1 << 40,
}  # fmt: skip


def parse_size(text: str, flag: str) -> int:
    """Bytes in ``12GiB``, ``800MB`` or ``1.5 g``. Raises ``UsageError`` for anything else and for nothing.

    ``flag`` is the option that ``text`` was given with, for the message.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"{flag}: {text!r} is no size; write it as 12GiB, 800MB or a number of bytes")
    size = int(float(match[1]) * _UNITS[match[2]])
    if size < 1:
        raise UsageError(f"{flag}: {text!r} is no size; give at least one byte")
    return size
