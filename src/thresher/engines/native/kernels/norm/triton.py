"""Add, norm and round, one program per row: every value is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_row, warps


def add_norm(
    x: torch.Tensor, added: torch.Tensor | None, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool
) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.add_norm`."""
    tokens, width = x.shape
    total = x if added is None else added
    normed = empty_rows(tokens, width, x, quantize=False).values if plain else None
    rows = empty_rows(tokens, width, x, quantize=True) if quantize else None
    block = triton.next_power_of_2(width)
    if tokens:
        _add_norm[(tokens,)](
            x,
            total,
            scale,
            x if normed is None else normed,
            x if rows is None else rows.values,
            scale if rows is None else factors_or(rows),
            x.stride(0),
            total.stride(0),
            width,
            eps,
            ADD=added is not None,
            PLAIN=plain,
            QUANTIZE=quantize,
            BLOCK=block,
            num_warps=warps(block),
        )
    return Normed(total, normed, rows)


@triton.jit
def _add_norm(
    x,
    total,
    scale,
    plain,
    out,
    factors,
    x_stride,
    total_stride,
    width,
    eps,
    ADD: tl.constexpr,
    PLAIN: tl.constexpr,
    QUANTIZE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    values = tl.load(x + row * x_stride + columns, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        at = total + row * total_stride + columns
        rounded = (values + tl.load(at, mask=mask, other=0.0).to(tl.float32)).to(total.dtype.element_ty)
        tl.store(at, rounded, mask=mask)
        values = rounded.to(tl.float32)
    normed = values * tl.rsqrt(tl.sum(values * values) / width + eps)
    normed = normed * tl.load(scale + columns, mask=mask, other=0.0)
    if PLAIN:
        store_row(normed, mask, columns, plain + row * width, factors, False)
    if QUANTIZE:
        store_row(normed, mask, columns, out + row * width, factors + row, True)
