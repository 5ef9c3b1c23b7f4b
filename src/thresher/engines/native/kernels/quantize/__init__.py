"""Rows divided by a factor each and rounded to E4M3: the activations of fp8."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows

__all__ = ["quantize_rows"]


def quantize_rows(x: torch.Tensor) -> Rows:
    """``x`` [T, n] with the factor of each row, which makes its largest value 448."""
    return implementation("quantize", x.device).quantize_rows(x)  # type: ignore[no-any-return]
