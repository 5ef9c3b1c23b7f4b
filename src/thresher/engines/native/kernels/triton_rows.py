"""What Triton kernels over rows share: rounding a row to E4M3, and its launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows

_LARGEST_WARPS = 16
_VALUES_PER_WARP = 512


@triton.jit
def row_factor(largest):
    """What a row is divided by so that its largest value becomes E4M3's (see ``linear.rows.row_factors``)."""
    return tl.maximum(largest, 1e-12) / 448.0


@triton.jit
def largest_of(values, mask):
    """The largest magnitude of a block."""
    return tl.max(tl.where(mask, tl.abs(values), 0.0))


@triton.jit
def store(values, mask, columns, out_row):
    """Write a block held in float32, rounded to the dtype of ``out_row``."""
    tl.store(out_row + columns, values.to(out_row.dtype.element_ty), mask=mask)


@triton.jit
def store_row(values, mask, columns, out_row, factor_at, QUANTIZE: tl.constexpr):
    """Write a row held in one block, as it is or divided by its factor."""
    if QUANTIZE:
        factor = row_factor(largest_of(values, mask))
        tl.store(factor_at, factor)
        values = values / factor
    store(values, mask, columns, out_row)


@triton.jit
def store_two(
    first, first_mask, first_columns, rest, rest_mask, rest_columns, out_row, factor_at, QUANTIZE: tl.constexpr
):
    """Write a row held in two blocks, as it is or divided by its factor."""
    if QUANTIZE:
        factor = row_factor(tl.maximum(largest_of(first, first_mask), largest_of(rest, rest_mask)))
        tl.store(factor_at, factor)
        first = first / factor
        rest = rest / factor
    store(first, first_mask, first_columns, out_row)
    store(rest, rest_mask, rest_columns, out_row)


def two_blocks(width: int) -> tuple[int, int]:
    """Powers of two that hold a row between them with little to spare: 17408 is 16384 and 1024."""
    first = triton.next_power_of_2(width)
    if first > width:
        first //= 2
    return first, triton.next_power_of_2(max(1, width - first))


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
