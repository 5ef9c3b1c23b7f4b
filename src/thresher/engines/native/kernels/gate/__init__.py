"""Attention's output gate, ready for the multiply behind it."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows

__all__ = ["sigmoid_gate"]


def sigmoid_gate(x: torch.Tensor, gate: torch.Tensor, *, quantize: bool) -> Rows:
    """``x * sigmoid(gate)``, both [T, H, D], to [T, H * D]. ``gate`` may be a view with strides of its own."""
    return implementation("gate", x.device).sigmoid_gate(x, gate, quantize=quantize)  # type: ignore[no-any-return]
