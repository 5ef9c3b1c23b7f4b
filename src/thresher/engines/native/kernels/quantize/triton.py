"""Rounding rows to E4M3, one program per row: it is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_row, warps


def quantize_rows(x: torch.Tensor) -> Rows:
    """See :func:`thresher.engines.native.kernels.quantize.quantize_rows`."""
    tokens, width = x.shape
    rows = empty_rows(tokens, width, x, quantize=True)
    block = triton.next_power_of_2(width)
    if tokens:
        _quantize[(tokens,)](x, rows.values, factors_or(rows), x.stride(0), width, BLOCK=block, num_warps=warps(block))
    return rows


@triton.jit
def _quantize(x, out, factors, x_stride, width, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    values = tl.load(x + row * x_stride + columns, mask=mask, other=0.0).to(tl.float32)
    store_row(values, mask, columns, out + row * width, factors + row, True)
