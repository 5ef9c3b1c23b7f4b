"""Which layers stay on the device and which are streamed. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from thresher.errors import EngineCapacityError

_MIB = 1 << 20
#: One block is computed with while the next is on its way.
SLOTS = 2


def resident_layers(block_bytes: Sequence[int], memory_bytes: int | None) -> frozenset[int]:
    """Layers that stay, of those with blocks of these sizes, when weights may take ``memory_bytes`` (None: any).

    Streamed layers are spread evenly, so that each is copied while resident ones compute. Two slots for blocks
    of the largest size count towards the memory as soon as one layer is streamed.

    Raises:
        EngineCapacityError: less than two of the largest layers; names the least.
    """
    if memory_bytes is None or sum(block_bytes) <= memory_bytes:
        return frozenset(range(len(block_bytes)))
    slots = SLOTS * max(block_bytes)
    if memory_bytes < slots:
        raise EngineCapacityError(
            f"--weights-memory {math.floor(10 * memory_bytes / _MIB) / 10:,.1f} MiB: the least is two of the largest "
            f"layers, {math.ceil(10 * slots / _MIB) / 10:,.1f} MiB; all {len(block_bytes)} layers take "
            f"{math.ceil(10 * sum(block_bytes) / _MIB) / 10:,.1f} MiB"
        )
    for streamed in range(SLOTS + 1, len(block_bytes)):
        resident = _spread(len(block_bytes), streamed)
        if slots + sum(block_bytes[layer] for layer in resident) <= memory_bytes:
            return resident
    return frozenset()


def weights_bytes(block_bytes: Sequence[int], resident: frozenset[int]) -> int:
    """Bytes that resident layers and the slots of the others take."""
    slots = SLOTS * max(block_bytes) if len(resident) < len(block_bytes) else 0
    return slots + sum(block_bytes[layer] for layer in resident)


def _spread(layers: int, streamed: int) -> frozenset[int]:
    return frozenset(i for i in range(layers) if (i + 1) * streamed // layers == i * streamed // layers)
