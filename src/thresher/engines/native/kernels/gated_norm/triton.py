"""Norm and gate of all heads of a row in one program, which holds them in blocks."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import (
    empty_rows,
    factors_or,
    head_blocks,
    head_warps,
    load,
    sigmoid,
    store_heads,
)


def gated_norm(x: torch.Tensor, gate: torch.Tensor, scale: torch.Tensor, eps: float, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gated_norm.gated_norm`."""
    tokens, heads, size = x.shape
    rows = empty_rows(tokens, heads * size, x, quantize=quantize)
    blocks, together, block = head_blocks(heads, size)
    if tokens:
        _gated_norm[(tokens,)](
            x.contiguous(),
            gate.contiguous(),
            scale,
            rows.values,
            factors_or(rows),
            heads,
            size,
            eps,
            QUANTIZE=quantize,
            FULL=blocks * together == heads and block == size,
            BLOCKS=blocks,
            HEADS=together,
            BLOCK=block,
            num_warps=head_warps(blocks, together, block),
        )
    return rows


@triton.jit
def _gated_norm(
    x,
    gate,
    scale,
    out,
    factors,
    heads,
    size,
    eps,
    QUANTIZE: tl.constexpr,
    FULL: tl.constexpr,
    BLOCKS: tl.constexpr,
    HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    inner = tl.arange(0, BLOCK)[None, :]
    weight = load(scale + inner, inner < size, FULL)
    base = row * heads * size
    held = ()
    for number in tl.static_range(BLOCKS):
        head = number * HEADS + tl.arange(0, HEADS)[:, None]
        mask = (head < heads) & (inner < size)
        columns = head * size + inner
        values = load(x + base + columns, mask, FULL)
        z = load(gate + base + columns, mask, FULL)
        factor = tl.rsqrt(tl.sum(values * values, axis=1) / size + eps)
        held = held + ((values * weight * (z * sigmoid(z)), factor, columns, mask),)  # type: ignore[assignment]  # noqa: RUF005
    store_heads(held, out + base, factors + row, QUANTIZE, FULL)
