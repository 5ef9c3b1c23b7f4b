"""The convolution by four taps of sizes that fill blocks: row after row, those before it in registers.

Every input is read once, without masks. Tried alone on a hot H200, us a token in all of a 27B's layers: 0.53 for 0.70
of ``tiles`` and 1.19 where each program looked for the starts of sequences first. In a whole reading it takes 0.56.
"""

from __future__ import annotations

import triton
import triton.language as tl

from thresher.engines.native.kernels.conv.heads import normed
from thresher.engines.native.kernels.triton_rows import load, sigmoid, store

TAPS = 4
ROWS, HEADS, WARPS = 64, 4, 4  # by measurement: 8 heads in 8 warps 0.54, in 4 warps 0.56; 128 rows 0.55


@triton.jit(do_not_specialize=["tokens"])  # it changes from step to step
def conv_sliding(
    x,
    taps,
    queries,
    keys,
    values,
    tokens,
    query_scale,
    CHANNELS: tl.constexpr,
    KEY_HEADS: tl.constexpr,
    KEY_DIM: tl.constexpr,
    ROWS: tl.constexpr,
    HEADS: tl.constexpr,
):
    """As ``conv_tiles``, of at least ``ROWS`` rows.

    The last block of rows is moved up so that it is full: rows before it are then made twice, alike.
    """
    start = tl.minimum(tl.program_id(1) * ROWS, tokens - ROWS).to(tl.int64)
    head = tl.program_id(0) * HEADS
    inner = tl.arange(0, HEADS)[:, None] * KEY_DIM + tl.arange(0, KEY_DIM)[None, :]
    size: tl.constexpr = KEY_HEADS * KEY_DIM
    width: tl.constexpr = CHANNELS - 2 * size
    first = head * KEY_DIM
    at = x + (start * CHANNELS + first)
    if head < 2 * KEY_HEADS:
        out = keys + (start * size + (first - size))
        scale = 1.0
        if head < KEY_HEADS:
            out = queries + (start * size + first)
            scale = query_scale
        _slide(at, inner, taps + first, out, start, scale, True, CHANNELS, size, ROWS)
    else:
        out = values + (start * width + (first - 2 * size))
        _slide(at, inner, taps + first, out, start, 1.0, False, CHANNELS, width, ROWS)


@triton.jit
def _slide(
    at,
    inner,
    taps,
    out,
    start,
    scale,
    NORM: tl.constexpr,
    CHANNELS: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Eight rows each time around. Two sets of four take turns: the assembler puts a load as late as it can, and so
    every load still has the time of four rows before it is needed.
    """
    even, odd = _four(at + inner, CHANNELS), _four(at + 4 * CHANNELS + inner, CHANNELS)
    earlier = tl.zeros(inner.shape, tl.int64) + start  # how many rows there are before
    before = (
        load(at - 3 * CHANNELS + inner, earlier >= 3, False),
        load(at - 2 * CHANNELS + inner, earlier >= 2, False),
        load(at - CHANNELS + inner, earlier >= 1, False),
    )
    weights = _four(taps + inner, CHANNELS)
    for row in range(0, ROWS, 8):
        at += tl.where(row + 8 < ROWS, 8 * CHANNELS, 0)  # the last time around: the same again, for nothing
        now = _wide(even)
        even = _four(at + inner, CHANNELS)
        before = _emit_four(before, now, weights, out + inner, scale, NORM, WIDTH)
        now = _wide(odd)
        odd = _four(at + 4 * CHANNELS + inner, CHANNELS)
        before = _emit_four(before, now, weights, out + 4 * WIDTH + inner, scale, NORM, WIDTH)
        out += 8 * WIDTH


@triton.jit
def _four(at, STRIDE: tl.constexpr):
    return tl.load(at), tl.load(at + STRIDE), tl.load(at + 2 * STRIDE), tl.load(at + 3 * STRIDE)


@triton.jit
def _wide(rows):
    return rows[0].to(tl.float32), rows[1].to(tl.float32), rows[2].to(tl.float32), rows[3].to(tl.float32)


@triton.jit
def _emit_four(before, now, weights, at, scale, NORM: tl.constexpr, WIDTH: tl.constexpr):
    """Four rows from the three before them; returned are the three before the next."""
    b3, b2, b1 = before
    c0, c1, c2, c3 = now
    _emit(b3, b2, b1, c0, weights, at, scale, NORM)
    _emit(b2, b1, c0, c1, weights, at + WIDTH, scale, NORM)
    _emit(b1, c0, c1, c2, weights, at + 2 * WIDTH, scale, NORM)
    _emit(c0, c1, c2, c3, weights, at + 3 * WIDTH, scale, NORM)
    return c1, c2, c3


@triton.jit
def _emit(first, second, third, own, weights, at, scale, NORM: tl.constexpr):
    total = first * weights[0] + second * weights[1] + third * weights[2] + own * weights[3]
    total = total * sigmoid(total)
    if NORM:
        total = normed(total, scale)
    store(at, total, None, True)
