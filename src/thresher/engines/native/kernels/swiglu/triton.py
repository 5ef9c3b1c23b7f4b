"""SwiGLU's gate, one program per row, which is held whole until its largest value is known."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_two, two_blocks, warps


def swiglu(gate_up: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.swiglu.swiglu`."""
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    rows = empty_rows(tokens, width, gate_up, quantize=quantize)
    block, rest = two_blocks(width)
    if tokens:
        _swiglu[(tokens,)](
            gate_up,
            rows.values,
            factors_or(rows),
            gate_up.stride(0),
            width,
            QUANTIZE=quantize,
            BLOCK=block,
            REST=rest,
            num_warps=warps(block),
        )
    return rows


@triton.jit
def _swiglu(
    gate_up,
    out,
    factors,
    stride,
    width,
    QUANTIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    REST: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    columns_2 = BLOCK + tl.arange(0, REST)
    mask = columns < width
    mask_2 = columns_2 < width
    gates = gate_up + row * stride
    values = _product(gates, gates + width, columns, mask)
    values_2 = _product(gates, gates + width, columns_2, mask_2)
    store_two(values, mask, columns, values_2, mask_2, columns_2, out + row * width, factors + row, QUANTIZE)


@triton.jit
def _product(gates, ups, columns, mask):
    gate = tl.load(gates + columns, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(ups + columns, mask=mask, other=0.0).to(tl.float32)
    return gate * tl.sigmoid(gate) * up
