"""Rows of a table in host memory, read by the card itself: the host need neither gather nor copy them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from thresher.engines.native.kernels.choice import runs_triton
from thresher.engines.native.transfer import to_device


def lookup(table: torch.Tensor, rows: npt.NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """``table[rows]`` on ``device``; ``table`` [n, width] is in host memory."""
    if table.is_pinned() and runs_triton(device):
        from thresher.engines.native.kernels.lookup import triton

        return triton.lookup(table, to_device(rows, device), device)
    return table[torch.from_numpy(rows)].to(device)
