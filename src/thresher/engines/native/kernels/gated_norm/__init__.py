"""DeltaNet's output: a norm per head, gated by ``silu(z)``, ready for the multiply behind it."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows

__all__ = ["gated_norm"]


def gated_norm(x: torch.Tensor, gate: torch.Tensor, scale: torch.Tensor, eps: float, *, quantize: bool) -> Rows:
    """``x`` [T, H, V] and ``gate`` [T, H * V], contiguous, to [T, H * V]; ``scale`` float32 [V] of each head."""
    return implementation("gated_norm", x.device).gated_norm(x, gate, scale, eps, quantize=quantize)  # type: ignore[no-any-return]
