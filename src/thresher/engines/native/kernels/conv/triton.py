"""Convolution, SiLU and unit length in one pass: a program makes one head of a block of rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.conv import Convolved
from thresher.engines.native.kernels.sequences import Places, places

_ROWS, _WARPS = 64, 8  # measured on an H200 at the clock that its power limit leaves
_TAIL_CHANNELS = 1024


def causal_conv(
    x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, lengths: Sequence[int], *, key_heads: int, key_dim: int
) -> Convolved:
    """See :func:`thresher.engines.native.kernels.conv.causal_conv`."""
    tokens, channels = x.shape
    own = places(lengths, x.device)
    before = before.contiguous()
    queries, keys = (torch.empty(tokens, key_heads, key_dim, dtype=x.dtype, device=x.device) for _ in range(2))
    values = torch.empty(tokens, channels - 2 * key_heads * key_dim, dtype=x.dtype, device=x.device)
    block = triton.next_power_of_2(key_dim)
    grid = (2 * key_heads + triton.cdiv(values.shape[1], block), triton.cdiv(tokens, _ROWS))
    _conv[grid](
        x,
        taps.t().contiguous(),  # the taps of neighbouring channels side by side, so that they are loaded together
        before,
        own.numbers,
        own.within,
        queries,
        keys,
        values,
        tokens,
        channels,
        key_heads,
        key_dim,
        key_dim**-0.5,
        ALIGNED=key_dim == block and values.shape[1] % block == 0,
        WIDTH=taps.shape[1],
        ROWS=_ROWS,
        BLOCK=block,
        num_warps=_WARPS,
    )
    return Convolved(queries, keys, values, _tails(x, before, own))


def _tails(x: torch.Tensor, before: torch.Tensor, own: Places) -> torch.Tensor:
    count, context, channels = before.shape
    tails = torch.empty(count, context, channels, dtype=x.dtype, device=x.device)
    grid = (count * context, triton.cdiv(channels, _TAIL_CHANNELS))
    _copy_tail[grid](x, before, own.offsets, tails, channels, CONTEXT=context, BLOCK=_TAIL_CHANNELS)
    return tails


@triton.jit
def _copy_tail(x, before, offsets, tails, channels, CONTEXT: tl.constexpr, BLOCK: tl.constexpr):
    sequence = tl.program_id(0) // CONTEXT
    number = tl.program_id(0) % CONTEXT
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = channel < channels
    start = tl.load(offsets + sequence)
    place = tl.load(offsets + sequence + 1) - start - CONTEXT + number
    if place >= 0:
        value = tl.load(x + (start + place) * channels + channel, mask=mask)
    else:  # the sequence is shorter than that: what was to its left
        value = tl.load(before + (sequence * CONTEXT + CONTEXT + place) * channels + channel, mask=mask)
    tl.store(tails + tl.program_id(0).to(tl.int64) * channels + channel, value, mask=mask)


@triton.jit
def _conv(
    x,
    taps,
    before,
    numbers,
    within,
    queries,
    keys,
    values,
    tokens,
    channels,
    key_heads,
    key_dim,
    query_scale,
    ALIGNED: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    first_row = tl.program_id(1).to(tl.int64) * ROWS
    offset = tl.arange(0, ROWS)
    row = first_row + offset
    head = tl.program_id(0)
    inner = tl.arange(0, BLOCK)
    is_key = head < 2 * key_heads
    real = row < tokens
    if ALIGNED:  # every block is full: without a mask of columns, loads are wide
        channel = (head * BLOCK + inner)[None, :]
        full = real[:, None]
    else:
        first = tl.where(is_key, head * key_dim, 2 * key_heads * key_dim + (head - 2 * key_heads) * BLOCK)
        channel = (first + inner)[None, :]
        full = real[:, None] & (channel < tl.where(is_key, first + key_dim, channels))
    here = x + first_row * channels
    place = tl.load(within + row, mask=real, other=WIDTH)
    weights = taps + tl.minimum(channel, channels - 1)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    if tl.min(place) >= WIDTH - 1:  # within a sequence
        for tap in tl.static_range(WIDTH):
            at = here + (offset - (WIDTH - 1 - tap))[:, None] * channels + channel
            total += tl.load(at, mask=full, other=0.0).to(tl.float32) * tl.load(weights + tap * channels)
    else:  # a sequence starts here: what was to its left
        sequence = tl.load(numbers + row, mask=real, other=0).to(tl.int64)
        for tap in tl.static_range(WIDTH):
            back = WIDTH - 1 - tap
            at = here + (offset - back)[:, None] * channels + channel
            value = tl.load(at, mask=full & (place >= back)[:, None], other=0.0).to(tl.float32)
            total += value * tl.load(weights + tap * channels)
        for tap in tl.static_range(WIDTH - 1):
            at = before + (sequence * (WIDTH - 1) + place + tap)[:, None] * channels + channel
            value = tl.load(at, mask=full & (place < WIDTH - 1 - tap)[:, None], other=0.0).to(tl.float32)
            total += value * tl.load(weights + tap * channels)
    total = total * tl.sigmoid(total)
    if is_key:
        total = total * tl.rsqrt(tl.sum(total * total, axis=1) + 1e-6)[:, None]
        out = queries
        column = channel
        if head < key_heads:
            total = total * query_scale
        else:
            out = keys
            column = channel - key_heads * key_dim
        tl.store(out + row[:, None] * (key_heads * key_dim) + column, total.to(queries.dtype.element_ty), mask=full)
    else:
        column = channel - 2 * key_heads * key_dim
        width = channels - 2 * key_heads * key_dim
        tl.store(values + row[:, None] * width + column, total.to(values.dtype.element_ty), mask=full)
