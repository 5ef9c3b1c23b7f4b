"""A card that is smaller than it is, and the rate at which weights come to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from benchmarks.native.ceilings import median_seconds
from thresher.engines.native import placement
from thresher.engines.native.pinned import PinnedMemory

GIB = 1 << 30


@contextmanager
def card_of(limit_bytes: int | None, device: torch.device) -> Iterator[None]:
    """Within it the card has so many bytes, those of CUDA's own context counted: the allocator gives no more."""
    if limit_bytes is None:
        yield
        return
    free, total = torch.cuda.mem_get_info(device)
    context = total - free - torch.cuda.memory_reserved(device)
    allowed = limit_bytes - context

    def limited(device: torch.device) -> tuple[int, int]:
        return allowed - torch.cuda.memory_reserved(device), limit_bytes

    torch.cuda.set_per_process_memory_fraction(allowed / total, device)
    try:
        with patch.object(torch.cuda, "mem_get_info", limited):
            yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def used_bytes(device: torch.device) -> int:
    """What this process has taken of the card, CUDA's context and what torch keeps for later included."""
    free, total = torch.cuda.mem_get_info(device)
    return total - free


@contextmanager
def host_of(available: int | None) -> Iterator[None]:
    """Within it, that much host memory counts as free: a machine whose memory grows with use shows too little."""
    if available is None:
        yield
        return
    with patch.object(placement, "available_bytes", lambda: available):
        yield


def copy_rate(device: torch.device, size: int = GIB) -> float:
    """Bytes per second from pinned host memory to the card, as layers are copied."""
    memory = PinnedMemory(size)
    target = torch.empty(size, dtype=torch.uint8, device=device)
    seconds = median_seconds(lambda: target.copy_(memory.block, non_blocking=True), device)
    memory.close()
    return size / seconds
