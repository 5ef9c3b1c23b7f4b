"""The convolution of any sizes: a program makes one head of a block of rows, as if all were one sequence."""

from __future__ import annotations

import triton
import triton.language as tl

from thresher.engines.native.kernels.conv.heads import channels_of, store_head
from thresher.engines.native.kernels.triton_rows import load

ROWS, WARPS = 32, 8  # measured on an H200, us a token in all of a 27B's layers: 0.70; 64 rows 0.76


@triton.jit(do_not_specialize=["tokens"])  # it changes from step to step
def conv_tiles(
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
    ALIGNED: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Queries, keys and values of all rows; the first of each sequence are left to ``conv_edges``."""
    first_row = tl.program_id(1).to(tl.int64) * ROWS
    head = tl.program_id(0)
    offset = tl.arange(0, ROWS)
    inner = tl.arange(0, BLOCK)[None, :]
    first, end = channels_of(head, CHANNELS, KEY_HEADS, KEY_DIM, BLOCK)
    if ALIGNED:  # every block is full: what the compiler then knows of the address makes loads wide
        first = head * BLOCK
    within = first + inner < end
    at = x + (first_row * CHANNELS + first) + (offset[:, None] * CHANNELS + inner)
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    if ALIGNED and (first_row >= WIDTH - 1 and first_row + ROWS <= tokens):
        for tap in tl.static_range(WIDTH):
            weight = tl.load(taps + tap * CHANNELS + first + inner)
            total += load(at - (WIDTH - 1 - tap) * CHANNELS, None, True) * weight
    else:
        row = first_row + offset
        for tap in tl.static_range(WIDTH):
            back = WIDTH - 1 - tap
            there = ((row >= back) & (row < tokens))[:, None] & within
            weight = load(taps + tap * CHANNELS + first + inner, within, False)
            total += load(at - back * CHANNELS, there, False) * weight
    mask = (first_row + offset < tokens)[:, None]
    if not ALIGNED:
        mask = mask & within
    store_head(
        total,
        head,
        first,
        first_row,
        offset,
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
