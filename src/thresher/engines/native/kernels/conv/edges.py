"""The first rows of each sequence, convolved with what was to its left, and the tails: a program for each and head."""

from __future__ import annotations

import triton
import triton.language as tl

from thresher.engines.native.kernels.conv.heads import channels_of, store_head


@triton.jit
def conv_edges(
    x,
    taps,
    before,
    offsets,
    queries,
    keys,
    values,
    tails,
    query_scale,
    CHANNELS: tl.constexpr,
    KEY_HEADS: tl.constexpr,
    KEY_DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write over rows that were made as if all sequences were one."""
    context: tl.constexpr = WIDTH - 1
    sequence = (tl.program_id(0) // context).to(tl.int64)
    number = tl.program_id(0) % context
    head = tl.program_id(1)
    first, end = channels_of(head, CHANNELS, KEY_HEADS, KEY_DIM, BLOCK)
    inner = tl.arange(0, BLOCK)[None, :]
    mask = first + inner < end
    start = tl.load(offsets + sequence)
    count = tl.load(offsets + sequence + 1) - start
    rows = x + start * CHANNELS + first + inner
    left = before + (sequence + 1) * (context * CHANNELS) + first + inner
    tail = _input(rows, left, count - context + number, mask, CHANNELS)
    tl.store(tails + (sequence * context + number) * CHANNELS + first + inner, tail, mask=mask)
    if number < count:
        total = tl.zeros([1, BLOCK], tl.float32)
        for tap in tl.static_range(WIDTH):
            value = _input(rows, left, number - context + tap, mask, CHANNELS).to(tl.float32)
            total += value * tl.load(taps + tap * CHANNELS + first + inner, mask=mask, other=0.0)
        row = start + number
        store_head(
            total,
            head,
            first,
            row,
            tl.arange(0, 1),
            inner,
            mask,
            queries,
            keys,
            values,
            query_scale,
            CHANNELS,
            KEY_HEADS,
            KEY_DIM,
        )


@triton.jit
def _input(rows, left, place, mask, CHANNELS: tl.constexpr):
    """A row of a sequence; at a negative place what was to its left."""
    if place >= 0:
        value = tl.load(rows + place * CHANNELS, mask=mask, other=0.0)
    else:
        value = tl.load(left + place * CHANNELS, mask=mask, other=0.0)
    return value
