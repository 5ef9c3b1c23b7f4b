"""Norm and round: each program takes row after row, the next ones on their way into shared memory meanwhile."""

from __future__ import annotations

from functools import cache

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, load, store_two, two_blocks, warps

#: Tried alone on a hot H200, rows of 5120 rounded to E4M3: a program for each row takes 0.91 us a token in all of a
#: 27B's layers, eight programs of four warps to a multiprocessor 0.63, sixteen 0.67, four of eight warps 0.76. In a
#: whole reading, where most layers want the plain form too, it was 1.00 and is 0.74.
_PROGRAMS_PER_MULTIPROCESSOR = 8
_VALUES_PER_WARP = 1024
_ROWS_ON_THE_WAY = 3
_SHARED_BYTES = 64 * 1024  # of the 99 KiB that a block may have where it may have least: longer rows are not sent ahead


def norm(x: torch.Tensor, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.norm`."""
    tokens, width = x.shape
    normed = empty_rows(tokens, width, x, quantize=False).values if plain else None
    rows = empty_rows(tokens, width, x, quantize=True) if quantize else None
    block, rest = two_blocks(width)
    if tokens:
        _norm[(min(tokens, _programs(x.device)),)](
            x,
            scale,
            x if normed is None else normed,
            x if rows is None else rows.values,
            scale if rows is None else factors_or(rows),
            tokens,
            x.stride(0),
            width,
            eps,
            PLAIN=plain,
            QUANTIZE=quantize,
            FULL=width == block + rest,
            STAGES=stages(block + rest, x.element_size()),
            BLOCK=block,
            REST=rest,
            num_warps=launch_warps(block),
        )
    return Normed(normed, rows, x.dtype)


@cache
def _programs(device: torch.device) -> int:
    """How many programs share the rows; a CPU, which runs one after the other, counts as one multiprocessor."""
    here = device.type == "cuda"
    count = torch.cuda.get_device_properties(device).multi_processor_count if here else 1
    return _PROGRAMS_PER_MULTIPROCESSOR * count


def stages(values: int, bytes_per_value: int) -> int:
    """How many rows a program has in hand or on the way."""
    return _ROWS_ON_THE_WAY if _ROWS_ON_THE_WAY * values * bytes_per_value <= _SHARED_BYTES else 1


def launch_warps(block: int) -> int:
    """Warps of a program."""
    return warps(block, _VALUES_PER_WARP)


@triton.jit(do_not_specialize=["tokens"])  # it changes from step to step
def _norm(
    x,
    scale,
    plain,
    out,
    factors,
    tokens,
    stride,
    width,
    eps,
    PLAIN: tl.constexpr,
    QUANTIZE: tl.constexpr,
    FULL: tl.constexpr,
    STAGES: tl.constexpr,
    BLOCK: tl.constexpr,
    REST: tl.constexpr,
):
    columns = tl.arange(0, BLOCK)
    columns_2 = BLOCK + tl.arange(0, REST)
    mask_2 = columns_2 < width
    scale_1 = tl.load(scale + columns)
    scale_2 = load(scale + columns_2, mask_2, FULL)
    for number in tl.range(tl.program_id(0), tokens, tl.num_programs(0), num_stages=STAGES):
        row = tl.cast(number, tl.int64)
        values = load(x + row * stride + columns, None, True)
        values_2 = load(x + row * stride + columns_2, mask_2, FULL)
        factor = tl.rsqrt((tl.sum(values * values) + tl.sum(values_2 * values_2)) / width + eps)
        values = values * factor * scale_1
        values_2 = values_2 * factor * scale_2
        if PLAIN:
            store_two(values, values_2, columns, columns_2, mask_2, plain + row * width, factors, False, FULL)
        if QUANTIZE:
            store_two(values, values_2, columns, columns_2, mask_2, out + row * width, factors + row, True, FULL)
