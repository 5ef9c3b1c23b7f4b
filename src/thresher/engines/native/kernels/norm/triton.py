"""Norm and round, one program per row: every value is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_two, two_blocks, warps


def norm(x: torch.Tensor, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.norm`."""
    tokens, width = x.shape
    normed = empty_rows(tokens, width, x, quantize=False).values if plain else None
    rows = empty_rows(tokens, width, x, quantize=True) if quantize else None
    block, rest = two_blocks(width)
    if tokens:
        _norm[(tokens,)](
            x,
            scale,
            x if normed is None else normed,
            x if rows is None else rows.values,
            scale if rows is None else factors_or(rows),
            x.stride(0),
            width,
            eps,
            PLAIN=plain,
            QUANTIZE=quantize,
            BLOCK=block,
            REST=rest,
            num_warps=warps(block),
        )
    return Normed(normed, rows, x.dtype)


@triton.jit
def _norm(
    x,
    scale,
    plain,
    out,
    factors,
    stride,
    width,
    eps,
    PLAIN: tl.constexpr,
    QUANTIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    REST: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    columns_2 = BLOCK + tl.arange(0, REST)
    mask = columns < width
    mask_2 = columns_2 < width
    values = tl.load(x + row * stride + columns, mask=mask, other=0.0).to(tl.float32)
    values_2 = tl.load(x + row * stride + columns_2, mask=mask_2, other=0.0).to(tl.float32)
    scaled = tl.rsqrt((tl.sum(values * values) + tl.sum(values_2 * values_2)) / width + eps)
    values = values * scaled * tl.load(scale + columns, mask=mask, other=0.0)
    values_2 = values_2 * scaled * tl.load(scale + columns_2, mask=mask_2, other=0.0)
    if PLAIN:
        out_row = plain + row * width
        store_two(values, mask, columns, values_2, mask_2, columns_2, out_row, factors, False)
    if QUANTIZE:
        out_row = out + row * width
        store_two(values, mask, columns, values_2, mask_2, columns_2, out_row, factors + row, True)
