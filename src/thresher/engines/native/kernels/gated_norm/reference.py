"""Norm and gate in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.kernels.rows import Rows, rounded
from thresher.engines.native.layers.norm import rms_norm


def gated_norm(x: torch.Tensor, gate: torch.Tensor, scale: torch.Tensor, eps: float, *, quantize: bool) -> Rows:
    """See :func:`thresher.engines.native.kernels.gated_norm.gated_norm`."""
    product = rms_norm(x, scale, eps).reshape(gate.shape) * F.silu(gate)
    return rounded(product) if quantize else Rows(product)
