"""One head of the convolution in Triton: which channels it has, and what comes behind the products with the taps."""

from __future__ import annotations

import triton
import triton.language as tl

from thresher.engines.native.kernels.triton_rows import sigmoid, store


@triton.jit
def channels_of(head, CHANNELS: tl.constexpr, KEY_HEADS: tl.constexpr, KEY_DIM: tl.constexpr, BLOCK: tl.constexpr):
    """First channel of a head, and where its channels end; the values' heads are blocks."""
    first = tl.where(head < 2 * KEY_HEADS, head * KEY_DIM, 2 * KEY_HEADS * KEY_DIM + (head - 2 * KEY_HEADS) * BLOCK)
    return first, tl.where(head < 2 * KEY_HEADS, first + KEY_DIM, CHANNELS)


@triton.jit
def normed(total, scale):
    """Heads [rows or heads, channels] of unit length, times ``scale``."""
    return total * (tl.rsqrt(tl.sum(total * total, axis=1) + 1e-6) * scale)[:, None]


@triton.jit
def store_head(
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
    CHANNELS: tl.constexpr,
    KEY_HEADS: tl.constexpr,
    KEY_DIM: tl.constexpr,
):
    """SiLU of a head of some rows [rows, channels], queries and keys of unit length, to where it belongs."""
    size: tl.constexpr = KEY_HEADS * KEY_DIM
    width: tl.constexpr = CHANNELS - 2 * size
    total = total * sigmoid(total)
    if head < 2 * KEY_HEADS:
        out = keys + (first_row * size + (first - size))
        scale = 1.0
        if head < KEY_HEADS:
            out = queries + (first_row * size + first)
            scale = query_scale
        store(out + (offset[:, None] * size + inner), normed(total, scale), mask, False)
    else:
        out = values + (first_row * width + (first - 2 * size))
        store(out + (offset[:, None] * width + inner), total, mask, False)
