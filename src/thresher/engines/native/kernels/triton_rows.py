"""What Triton kernels over rows share: rounding a row to E4M3, and its launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows

_LARGEST_WARPS = 16
_VALUES_PER_WARP = 512


@triton.jit
def store_row(values, mask, columns, out_row, factor_at, QUANTIZE: tl.constexpr):
    """Write a row held in float32, as it is or divided by its factor (see ``linear.rows.row_factors``) and rounded."""
    if QUANTIZE:
        largest = tl.max(tl.where(mask, tl.abs(values), 0.0))
        factor = tl.maximum(largest, 1e-12) / 448.0
        tl.store(factor_at, factor)
        tl.store(out_row + columns, (values / factor).to(out_row.dtype.element_ty), mask=mask)
    else:
        tl.store(out_row + columns, values.to(out_row.dtype.element_ty), mask=mask)


def empty_rows(tokens: int, width: int, like: torch.Tensor, *, quantize: bool) -> Rows:
    """Unfilled rows of what a kernel writes."""
    dtype = torch.float8_e4m3fn if quantize else like.dtype
    values = torch.empty(tokens, width, dtype=dtype, device=like.device)
    return Rows(values, torch.empty(tokens, 1, dtype=torch.float32, device=like.device) if quantize else None)


def factors_or(rows: Rows) -> torch.Tensor:
    """A tensor to pass for the factors, also where there are none."""
    return rows.values if rows.factors is None else rows.factors


def warps(block: int) -> int:
    """Warps for a program that holds ``block`` values."""
    return max(1, min(_LARGEST_WARPS, block // _VALUES_PER_WARP))
