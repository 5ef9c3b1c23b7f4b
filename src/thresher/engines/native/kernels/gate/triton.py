"""The gate of all heads of a row in one program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import empty_rows, factors_or, store_row, warps


def sigmoid_gate(x: torch.Tensor, gate: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gate.sigmoid_gate`."""
    tokens, heads, size = x.shape
    rows = empty_rows(tokens, heads * size, x, quantize=quantize)
    head_block, block = triton.next_power_of_2(heads), triton.next_power_of_2(size)
    if tokens:
        _sigmoid_gate[(tokens,)](
            x.contiguous(),
            gate,
            rows.values,
            factors_or(rows),
            gate.stride(0),
            gate.stride(1),
            heads,
            size,
            QUANTIZE=quantize,
            HEADS=head_block,
            BLOCK=block,
            num_warps=warps(head_block * block),
        )
    return rows


@triton.jit
def _sigmoid_gate(
    x,
    gate,
    out,
    factors,
    gate_stride,
    gate_head_stride,
    heads,
    size,
    QUANTIZE: tl.constexpr,
    HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    inner = tl.arange(0, BLOCK)[None, :]
    mask = (head < heads) & (inner < size)
    columns = head * size + inner
    base = row * heads * size
    values = tl.load(x + base + columns, mask=mask, other=0.0).to(tl.float32)
    z = tl.load(gate + row * gate_stride + head * gate_head_stride + inner, mask=mask, other=0.0).to(tl.float32)
    store_row(values * tl.sigmoid(z), mask, columns, out + base, factors + row, QUANTIZE)
