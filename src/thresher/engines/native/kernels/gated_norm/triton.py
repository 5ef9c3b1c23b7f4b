"""Norm and gate of all heads of a row in one program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_row, warps


def gated_norm(x: torch.Tensor, gate: torch.Tensor, scale: torch.Tensor, eps: float, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gated_norm.gated_norm`."""
    tokens, heads, size = x.shape
    rows = empty_rows(tokens, heads * size, x, quantize=quantize)
    head_block, block = triton.next_power_of_2(heads), triton.next_power_of_2(size)
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
            HEADS=head_block,
            BLOCK=block,
            num_warps=warps(head_block * block),
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
    HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    inner = tl.arange(0, BLOCK)[None, :]
    mask = (head < heads) & (inner < size)
    columns = head * size + inner
    base = row * heads * size
    values = tl.load(x + base + columns, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(scale + inner, mask=inner < size, other=0.0)
    normed = values * tl.rsqrt(tl.sum(values * values, axis=1) / size + eps)[:, None] * weight
    z = tl.load(gate + base + columns, mask=mask, other=0.0).to(tl.float32)
    store_row(normed * z * tl.sigmoid(z), mask, columns, out + base, factors + row, QUANTIZE)
