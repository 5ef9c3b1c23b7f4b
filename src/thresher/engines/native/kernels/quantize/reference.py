"""Rounding rows to E4M3 in plain torch."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.linear.rows import row_factors

LARGEST = 448.0  # of E4M3


def quantize_rows(x: torch.Tensor) -> Rows:
    """See :func:`thresher.engines.native.kernels.quantize.quantize_rows`."""
    factors = row_factors(x, LARGEST)
    return Rows((x / factors).to(torch.float8_e4m3fn), factors)
