"""How much memory this process has, and may still take."""

from __future__ import annotations

from pathlib import Path

import psutil

_MAX, _CURRENT, _STAT = (f"/sys/fs/cgroup/memory.{name}" for name in ("max", "current", "stat"))


def total_bytes() -> int:
    """Memory of the machine, or less where a control group limits this process."""
    limit = _read_number(_MAX)
    total = psutil.virtual_memory().total
    return total if limit is None else min(total, limit)


def available_bytes() -> int:
    """Memory this process may still take: what is free on the machine, or less where a control group limits it."""
    free = psutil.virtual_memory().available
    limit, used = _read_number(_MAX), _read_number(_CURRENT)
    if limit is None or used is None:
        return free
    return min(free, max(0, limit - used + _reclaimable_bytes()))


def _read_number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


def _reclaimable_bytes() -> int:
    """File pages that count as used in the control group and are given back when needed."""
    try:
        lines = Path(_STAT).read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))
