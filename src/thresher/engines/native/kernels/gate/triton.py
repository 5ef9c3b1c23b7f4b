"""The gate of all heads of a row in one program, which holds them in blocks."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.kernels.triton_rows import (
    empty_rows,
    factors_or,
    head_blocks,
    head_warps,
    load,
    sigmoid,
    store_heads,
)


def sigmoid_gate(x: torch.Tensor, gate: torch.Tensor, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gate.sigmoid_gate`."""
    tokens, heads, size = x.shape
    rows = empty_rows(tokens, heads * size, x, quantize=quantize)
    blocks, together, block = head_blocks(heads, size)
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
            FULL=blocks * together == heads and block == size,
            BLOCKS=blocks,
            HEADS=together,
            BLOCK=block,
            num_warps=head_warps(blocks, together, block),
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
    FULL: tl.constexpr,
    BLOCKS: tl.constexpr,
    HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    inner = tl.arange(0, BLOCK)[None, :]
    base = row * heads * size
    one = tl.full([HEADS], 1.0, tl.float32)  # the heads have no factors of their own
    held = ()
    for number in tl.static_range(BLOCKS):
        head = number * HEADS + tl.arange(0, HEADS)[:, None]
        mask = (head < heads) & (inner < size)
        columns = head * size + inner
        values = load(x + base + columns, mask, FULL)
        z = load(gate + row * gate_stride + head * gate_head_stride + inner, mask, FULL)
        held = held + ((values * sigmoid(z), one, columns, mask),)  # type: ignore[assignment]  # noqa: RUF005
    store_heads(held, out + base, factors + row, QUANTIZE, FULL)
