"""Which layers each of several devices computes. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.errors import EngineCapacityError, UsageError

_GIB = 1 << 30


def split_layers(block_bytes: Sequence[int], room_bytes: Sequence[int]) -> list[range]:
    """Layers with blocks of these sizes, in order, over devices with room for so many bytes of them.

    The largest part is as small as can be: the devices work at the same time, and the one with most to do sets the
    pace. Every device gets a layer.

    Raises:
        UsageError: more devices than layers.
        EngineCapacityError: no split fits.
    """
    layers, devices = len(block_bytes), len(room_bytes)
    if devices > layers:
        raise UsageError(f"--device names {devices} devices, and the model has {layers} layers; give at most that many")
    # best[stop]: the largest part of layers 0 to stop over the devices so far, and the stops of these parts
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for room in room_bytes:
        best = _with_one_more(best, block_bytes, room)
    if layers not in best:
        raise EngineCapacityError(
            f"the layers take {sum(block_bytes) / _GIB:.2f} GiB in the compute format, and the devices have room for "
            f"{', '.join(f'{room / _GIB:.2f}' for room in room_bytes)} GiB, each for whole layers; give more devices, "
            "a smaller --precision or --weights-memory"
        )
    stops = best[layers][1]
    return [range(start, stop) for start, stop in zip((0, *stops), stops, strict=False)]


def _with_one_more(
    best: dict[int, tuple[int, tuple[int, ...]]], block_bytes: Sequence[int], room: int
) -> dict[int, tuple[int, tuple[int, ...]]]:
    further: dict[int, tuple[int, tuple[int, ...]]] = {}
    for start, (largest, stops) in best.items():
        part = 0
        for stop in range(start + 1, len(block_bytes) + 1):
            part += block_bytes[stop - 1]
            if part > room:
                break
            found = (max(largest, part), (*stops, stop))
            further[stop] = min(further.get(stop, found), found, key=_preference)
    return further


def _preference(found: tuple[int, tuple[int, ...]]) -> tuple[int, list[int]]:
    """Of equal splits the one that gives later devices less: the last has the head too."""
    largest, stops = found
    return largest, [-stop for stop in stops]
