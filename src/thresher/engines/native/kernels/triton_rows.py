"""What Triton kernels over rows share: cheap arithmetic, rounding a row to E4M3, and its launch.

At the clock that its power limit leaves an H200, these kernels are held up by instructions more than by memory; so
what is counted here is instructions a value.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows

_LARGEST_WARPS = 16
_VALUES_PER_WARP = 512
#: Heads are held in blocks of this many values, by a warp for each: 48 heads of 128 in three of 16 heads, where a
#: single block would have 64 (an H200 in a whole reading: 0.42 us a token for 0.65 in all of a 27B's gated norms).
_VALUES_PER_BLOCK = 2048


@triton.jit
def sigmoid(x):
    """``1 / (1 + exp(-x))`` in 5 instructions where Triton's own takes 11.

    The reciprocal root, squared, needs no guard against denormals as a division does; within 2^-21 of the value.
    """
    root = tl.rsqrt(1.0 + tl.exp2(x * -1.4426950408889634))
    return root * root


@triton.jit
def load(at, mask, FULL: tl.constexpr):
    """Values in float32, 0 outside of the mask; without one where the block is full: loads are wide then."""
    values = tl.load(at) if FULL else tl.load(at, mask=mask, other=0.0)
    return values.to(tl.float32)


@triton.jit
def store(at, values, mask, FULL: tl.constexpr):
    """Write what is held in float32, rounded to the dtype there."""
    if FULL:
        tl.store(at, values.to(at.dtype.element_ty))
    else:
        tl.store(at, values.to(at.dtype.element_ty), mask=mask)


@triton.jit
def row_inverse(largest, factor_at):
    """What a row is multiplied by so that its largest value becomes E4M3's; its factor, the reciprocal, is written.

    The factor is that of ``linear.rows.row_factors``. A division of each value would take four instructions.
    """
    factor = tl.maximum(largest, 1e-12) / 448.0
    tl.store(factor_at, factor)
    return 1.0 / factor


@triton.jit
def store_two(
    first, rest, columns, rest_columns, rest_mask, out_row, factor_at, QUANTIZE: tl.constexpr, FULL: tl.constexpr
):
    """Write a row held in two blocks, the first of them full, as it is or divided by its factor.

    What the mask leaves out must be 0.
    """
    if QUANTIZE:
        inverse = row_inverse(tl.maximum(tl.max(tl.abs(first)), tl.max(tl.abs(rest))), factor_at)
        first = first * inverse
        rest = rest * inverse
    store(out_row + columns, first, None, True)
    store(out_row + rest_columns, rest, rest_mask, FULL)


@triton.jit
def store_heads(held, out_row, factor_at, QUANTIZE: tl.constexpr, FULL: tl.constexpr):
    """Write a row held in blocks of heads, as it is or divided by its factor.

    Each of ``held`` is its values [heads, size], 0 outside of the mask; a positive factor of each head, which is
    multiplied last; its columns; and the mask.
    """
    inverse = 1.0
    if QUANTIZE:
        largest = tl.max(tl.abs(held[0][0]), axis=1) * held[0][1]
        for block in tl.static_range(1, len(held)):
            largest = tl.maximum(largest, tl.max(tl.abs(held[block][0]), axis=1) * held[block][1])
        inverse = row_inverse(tl.max(largest), factor_at)
    for block in tl.static_range(len(held)):
        values, factors, columns, mask = held[block]
        store(out_row + columns, values * (factors * inverse)[:, None], mask, FULL)


def two_blocks(width: int) -> tuple[int, int]:
    """Powers of two that hold a row between them with little to spare, the first full: 17408 is 16384 and 1024."""
    first = triton.next_power_of_2(width)
    if first > width:
        first //= 2
    return first, triton.next_power_of_2(max(1, width - first))


def head_blocks(heads: int, size: int) -> tuple[int, int, int]:
    """Number of blocks that hold a row of heads; heads and values of a head in each, powers of two."""
    block = triton.next_power_of_2(size)
    together = min(triton.next_power_of_2(heads), max(1, _VALUES_PER_BLOCK // block))
    return triton.cdiv(heads, together), together, block


def empty_rows(tokens: int, width: int, like: torch.Tensor, *, quantize: bool) -> Rows:
    """Unfilled rows of what a kernel writes."""
    dtype = torch.float8_e4m3fn if quantize else like.dtype
    values = torch.empty(tokens, width, dtype=dtype, device=like.device)
    return Rows(values, torch.empty(tokens, 1, dtype=torch.float32, device=like.device) if quantize else None)


def factors_or(rows: Rows) -> torch.Tensor:
    """A tensor to pass for the factors, also where there are none."""
    return rows.values if rows.factors is None else rows.factors


def warps(values: int, each: int = _VALUES_PER_WARP) -> int:
    """Warps for a program that holds ``values``, ``each`` of them to a warp up to the most there may be."""
    return int(max(1, min(_LARGEST_WARPS, triton.next_power_of_2(triton.cdiv(values, each)))))


def head_warps(blocks: int, together: int, block: int) -> int:
    """Warps for a program that holds a row in blocks of heads."""
    return warps(blocks * together * block, _VALUES_PER_BLOCK)
