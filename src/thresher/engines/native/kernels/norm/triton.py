"""Add, norm and round, one program per row: every value is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_two, two_blocks, warps


def add_norm(
    x: torch.Tensor, added: torch.Tensor | None, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool
) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.add_norm`."""
    tokens, width = x.shape
    total = x if added is None else added
    normed = empty_rows(tokens, width, x, quantize=False).values if plain else None
    rows = empty_rows(tokens, width, x, quantize=True) if quantize else None
    block, rest = two_blocks(width)
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
            REST=rest,
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
    REST: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    columns_2 = BLOCK + tl.arange(0, REST)
    mask = columns < width
    mask_2 = columns_2 < width
    x_row = x + row * x_stride
    total_row = total + row * total_stride
    values = _added(x_row, total_row, columns, mask, ADD)
    values_2 = _added(x_row, total_row, columns_2, mask_2, ADD)
    scaled = tl.rsqrt((tl.sum(values * values) + tl.sum(values_2 * values_2)) / width + eps)
    values = values * scaled * tl.load(scale + columns, mask=mask, other=0.0)
    values_2 = values_2 * scaled * tl.load(scale + columns_2, mask=mask_2, other=0.0)
    if PLAIN:
        out_row = plain + row * width
        store_two(values, mask, columns, values_2, mask_2, columns_2, out_row, factors, False)
    if QUANTIZE:
        out_row = out + row * width
        store_two(values, mask, columns, values_2, mask_2, columns_2, out_row, factors + row, True)


@triton.jit
def _added(x_row, total_row, columns, mask, ADD: tl.constexpr):
    """``x``, or ``x + total``, which is written back as it is rounded."""
    values = tl.load(x_row + columns, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        rounded = (values + tl.load(total_row + columns, mask=mask, other=0.0).to(tl.float32)).to(
            total_row.dtype.element_ty
        )
        tl.store(total_row + columns, rounded, mask=mask)
        values = rounded.to(tl.float32)
    return values
