"""SwiGLU's gate, one program per row, which is held whole until its largest value is known."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_row, warps


def swiglu(gate_up: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.swiglu.swiglu`."""
    tokens, width = gate_up.shape[0], gate_up.shape[1] // 2
    rows = empty_rows(tokens, width, gate_up, quantize=quantize)
    block = triton.next_power_of_2(width)
    if tokens:
        _swiglu[(tokens,)](
            gate_up,
            rows.values,
            factors_or(rows),
            gate_up.stride(0),
            width,
            QUANTIZE=quantize,
            BLOCK=block,
            num_warps=warps(block),
        )
    return rows


@triton.jit
def _swiglu(gate_up, out, factors, stride, width, QUANTIZE: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    gate = tl.load(gate_up + row * stride + columns, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * stride + width + columns, mask=mask, other=0.0).to(tl.float32)
    store_row(gate * tl.sigmoid(gate) * up, mask, columns, out + row * width, factors + row, QUANTIZE)
