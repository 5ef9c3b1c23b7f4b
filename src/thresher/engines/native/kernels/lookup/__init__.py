"""Rows of a table in host memory, read by the card itself: the host need neither gather nor copy them."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import runs_triton


def lookup(table: torch.Tensor, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``table[rows]`` on ``device``; ``table`` [n, width] is in host memory, ``rows`` int64 anywhere."""
    if table.is_pinned() and runs_triton(device):
        from thresher.engines.native.kernels.lookup import triton

        return triton.lookup(table, rows.to(device, non_blocking=True), device)
    return table[rows.cpu()].to(device)
