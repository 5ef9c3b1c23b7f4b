"""The native engine's memory: the model of its own sizing (engines/native/sizing.py and placement.py), without torch.

A test runs both over models, precisions and memories and compares what they choose, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from thresher.models.shape import ModelShape
from thresher.planning.costs import state_bytes_per_layer
from thresher.planning.fit import Fit
from thresher.planning.formats import activation_bytes
from thresher.planning.native_blocks import (
    SLOTS,
    all_block_bytes,
    resident_bytes,
    resident_count,
    split_over,
    table_bytes,
)
from thresher.planning.setting import Room, Setting

_CPU_STEP_TOKENS, _GPU_STEP_TOKENS, _LARGE_GPU_STEP_TOKENS = 1024, 8192, 16_384
_LARGE_STEP_SHARE = 1 / 8
_CPU_PACK_TOKENS, _GPU_PACK_TOKENS, _STREAMED_PACK_TOKENS, _PIPELINED_PACK_TOKENS = 8192, 65_536, 262_144, 16_384
_STATE_SHARE = 1 / 8
_MOST_SPANS, _LEAST_SPANS = 1024, 8
_STATE_COPIES = 3
_DELTA_TEMPORARY_BYTES = 1 << 29
_PREFIX_TOKENS = 4096
_RESERVE_SHARE = 0.1
_TABLES_SHARE = 0.7
_WEIGHTS_SHARE = 0.85
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSizes:
    """What the engine sets aside beside its weights, and what that leaves room for."""

    step_tokens: int
    activation_bytes: int  # of a step
    state_bytes: int
    row_bytes: int
    tokens_that_fit: int
    pack_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    weights_bytes: int  # on the fullest device
    free_bytes: int  # left there
    streamed_layers: int
    streamed_bytes: int
    host_bytes: int


def row_bytes(shape: ModelShape, value_bytes: int, packs_in_flight: int = 1) -> int:
    """A token of a pack: its residual stream, keys and values of the one layer at work, its RoPE tables (float32).

    Qwen3.5-27B in 16 bits: 10 + 4 KiB + 256 bytes (MODEL.md, "Costs").
    """
    keys_values = 2 * shape.kv_size if shape.full_layers else 0
    return value_bytes * (packs_in_flight * shape.hidden + keys_values) + 4 * shape.rotary_dim


def step_row_bytes(shape: ModelShape, value_bytes: int) -> int:
    """Activations of one token of a step at the widest moment of a layer, from above: four residual streams, and the
    widest of the feed-forward's three streams, attention's queries, gates and outputs, DeltaNet's inputs and outputs.
    """
    moe = shape.moe
    widths = (0, 0) if moe is None else (moe.expert_size * moe.experts_per_token, moe.shared_expert_size)
    mixer = [value_bytes * 3 * shape.query_size + 4 * 3 * shape.query_size]
    if shape.delta is not None:
        delta = shape.delta
        mixer.append(value_bytes * 3 * (delta.conv_channels + delta.value_size) + 4 * 2 * delta.key_size)
    return 4 * value_bytes * shape.hidden + max(value_bytes * 3 * max(shape.feed_forward, *widths), *mixer)


def native_sizes(
    shape: ModelShape, setting: Setting, *, free_bytes: int, on_gpu: bool, streams: bool, packs_in_flight: int
) -> NativeSizes:
    """What the engine would choose with ``free_bytes`` left beside the weights; a tenth of it is left alone."""
    value_bytes = activation_bytes(setting.precision)
    usable = int(free_bytes * (1 - _RESERVE_SHARE))
    state = state_bytes_per_layer(shape)
    each = step_row_bytes(shape, value_bytes)
    step = _step_tokens(each, usable, on_gpu=on_gpu)
    states = _STATE_COPIES * _spans(usable, _STATE_COPIES * state) * state + (_DELTA_TEMPORARY_BYTES if state else 0)
    prefix = shape.full_layers * 2 * shape.kv_size * value_bytes * _PREFIX_TOKENS
    prefix += (shape.layers - shape.full_layers) * state
    per_row = row_bytes(shape, value_bytes, packs_in_flight)
    fits = max(0, usable - step * each - states - prefix) // per_row
    wished = _STREAMED_PACK_TOKENS if streams else _GPU_PACK_TOKENS if on_gpu else _CPU_PACK_TOKENS
    if packs_in_flight > 1 and on_gpu and not streams:
        wished = _PIPELINED_PACK_TOKENS
    return NativeSizes(
        step_tokens=step,
        activation_bytes=step * each,
        state_bytes=states + prefix,
        row_bytes=per_row,
        tokens_that_fit=fits,
        pack_tokens=min(setting.pack_tokens or wished, max(fits, setting.context_tokens)),
    )


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
    sizes = native_sizes(
        shape,
        setting,
        free_bytes=placed.free_bytes,
        on_gpu=room.on_gpu,
        streams=placed.streamed_layers > 0,
        packs_in_flight=packs_in_flight(setting),
    )
    pack = max(sizes.pack_tokens, setting.context_tokens)
    parts = {
        "weights": placed.weights_bytes,
        "kv": pack * sizes.row_bytes,
        "state": sizes.state_bytes,
        "activations": sizes.activation_bytes,
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
    return f"--weights-memory {limit / _MIB:,.1f} MiB: the least is two of the largest layers, {least / _MIB:,.1f} MiB"


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
    rooms = [sum(blocks)] * devices
    if limit is None and devices > 1:
        rooms = [int(_WEIGHTS_SHARE * room.device_bytes)] * devices
        rooms[-1] -= table
    ranges = [range(len(blocks))] if devices == 1 else split_over(blocks, rooms)
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


def _step_tokens(bytes_each: int, usable_bytes: int, *, on_gpu: bool) -> int:
    if not on_gpu:
        return _CPU_STEP_TOKENS
    large = _LARGE_GPU_STEP_TOKENS * bytes_each <= _LARGE_STEP_SHARE * usable_bytes
    return _LARGE_GPU_STEP_TOKENS if large else _GPU_STEP_TOKENS


def _spans(usable_bytes: int, bytes_each: int) -> int:
    if not bytes_each:
        return _MOST_SPANS
    return max(_LEAST_SPANS, min(_MOST_SPANS, int(usable_bytes * _STATE_SHARE) // bytes_each))
