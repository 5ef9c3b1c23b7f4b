"""A program per row; pinned memory has the same address on the card."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


def lookup(table: torch.Tensor, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.lookup.lookup`."""
    out = torch.empty(len(rows), table.shape[1], dtype=table.dtype, device=device)
    if len(rows):
        block = triton.next_power_of_2(table.shape[1])
        _lookup[(len(rows),)](table, rows, out, table.shape[1], COLUMNS=block, num_warps=8)
    return out


@triton.jit
def _lookup(table, rows, out, width, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, COLUMNS)
    mask = column < width
    source = tl.load(rows + row) * width
    tl.store(out + row * width + column, tl.load(table + source + column, mask=mask, other=0.0), mask=mask)
