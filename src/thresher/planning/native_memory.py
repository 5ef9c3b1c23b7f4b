"""The native engine's memory: weights laid over devices, and what is computed beside them.

The model of engines/native/placement.py, which needs torch; a test proves that both agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from thresher.models.shape import ModelShape
from thresher.planning.fit import Fit
from thresher.planning.native_blocks import (
    SLOTS,
    all_block_bytes,
    expanded_bytes,
    resident_bytes,
    resident_count,
    split_over,
    table_bytes,
)
from thresher.planning.native_sizes import native_sizes
from thresher.planning.setting import Room, Setting, process_bytes

#: The embedding goes to a GPU too as long as no more than this share of its free memory is then taken.
_TABLES_SHARE = 0.7
#: Of several devices, weights may take this share of each one's free memory.
_WEIGHTS_SHARE = 0.85
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    weights_bytes: int  # on the fullest device
    free_bytes: int  # left there
    streamed_layers: int
    streamed_bytes: int
    host_bytes: int


def native_fit(shape: ModelShape, setting: Setting, room: Room) -> Fit:
    """The memory of ``setting``. A pack holds at least one request of the whole context."""
    placed = _place(shape, setting, room)
    if placed is None or placed.free_bytes <= 0:
        weights = sum(all_block_bytes(shape, setting.precision)) + table_bytes(shape, setting.precision)
        each = (placed.weights_bytes if placed else weights) // (1 if placed else max(1, setting.gpus))
        return Fit(
            setting=setting,
            parts={"weights": each},
            available_bytes=room.device_bytes,
            fits=False,
            problem=_below_the_least(shape, setting),
        )
    expanded = expanded_bytes(shape, setting.precision)
    sizes = native_sizes(
        shape,
        setting,
        free_bytes=placed.free_bytes - expanded,
        on_gpu=room.on_gpu,
        streams=placed.streamed_layers > 0,
        packs_in_flight=packs_in_flight(setting),
    )
    pack = max(sizes.pack_tokens, setting.context_tokens)
    parts = {
        "weights": placed.weights_bytes,
        "kv": pack * sizes.row_bytes,
        "state": sizes.state_bytes,
        "activations": sizes.activation_bytes + expanded,
        "overhead": 0 if room.on_gpu else process_bytes(shape.vocabulary),
    }
    return Fit(
        setting=setting,
        parts=parts,
        available_bytes=room.device_bytes,
        fits=setting.context_tokens <= sizes.tokens_that_fit,
        pack_tokens=pack,
        streamed_layers=placed.streamed_layers,
        streamed_bytes=placed.streamed_bytes,
        host_bytes=placed.host_bytes,
    )


def _below_the_least(shape: ModelShape, setting: Setting) -> str:
    """What is wrong with a limit on weights that no two layers fit into; empty where that is not it."""
    limit, least = setting.weights_memory_bytes, SLOTS * max(all_block_bytes(shape, setting.precision))
    if limit is None or limit >= least:
        return ""
    given, wanted = math.floor(10 * limit / _MIB) / 10, math.ceil(10 * least / _MIB) / 10
    return f"--weights-memory {given:,.1f} MiB: the least is two of the largest layers, {wanted:,.1f} MiB"


def packs_in_flight(setting: Setting) -> int:
    """One for each device and one to be laid out meanwhile, where there are several (engines/native/pipeline.py)."""
    return 1 if setting.gpus <= 1 else setting.gpus + 1


def _place(shape: ModelShape, setting: Setting, room: Room) -> _Placed | None:
    """The fullest device's weights; None where layers cannot be laid out. Layers first, then the head, as far as the
    limit reaches; the embedding where it takes no more than 70% of a GPU (or on a CPU without a limit).
    """
    blocks = all_block_bytes(shape, setting.precision)
    table = table_bytes(shape, setting.precision)
    limit = setting.weights_memory_bytes
    devices = max(1, setting.gpus)
    ranges: list[range] | None = [range(len(blocks))]
    if devices > 1:
        each = sum(blocks) if limit is not None else int(_WEIGHTS_SHARE * room.device_bytes)
        ranges = split_over(blocks, devices, each, each if limit is not None else each - table)
    if ranges is None:
        return None
    taken, streamed, streamed_bytes = [], 0, 0
    for layers in ranges:
        own = [blocks[layer] for layer in layers]
        resident = len(own) if limit is None else resident_count(own, limit)
        if resident is None:
            return None
        on_device = resident_bytes(own, resident)
        streamed += len(own) - resident
        streamed_bytes += sum(own) - (on_device - 2 * max(own) if resident < len(own) else on_device)
        taken.append(_with_tables(on_device, table, shape, room, limit, first=not layers.start,
                                  last=layers.stop == len(blocks)))  # fmt: skip
    fullest = max(taken)
    return _Placed(
        weights_bytes=fullest,
        free_bytes=room.device_bytes - fullest,
        streamed_layers=streamed,
        streamed_bytes=streamed_bytes,
        host_bytes=streamed_bytes + (2 * table if room.on_gpu and limit is not None else 0),
    )


def _with_tables(
    layers: int, table: int, shape: ModelShape, room: Room, limit: int | None, *, first: bool, last: bool
) -> int:
    head = table if last and (limit is None or layers + table <= limit) else 0
    if not first or limit is not None:
        return layers + head
    spare = not room.on_gpu or layers + head + table <= _TABLES_SHARE * room.device_bytes
    return layers + head + (table if spare and not (shape.tied and last) else 0)
