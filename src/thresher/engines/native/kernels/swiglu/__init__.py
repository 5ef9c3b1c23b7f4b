"""SwiGLU's gate: ``silu(gate) * up``, ready for the multiply behind it."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows

__all__ = ["swiglu"]


def swiglu(gate_up: torch.Tensor, *, quantize: bool) -> Rows:
    """``gate_up`` [T, 2n], the gates first, to [T, n]; ``gate_up`` may be written over."""
    return implementation("swiglu", gate_up.device).swiglu(gate_up, quantize=quantize)  # type: ignore[no-any-return]
