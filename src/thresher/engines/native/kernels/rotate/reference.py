"""Norm and rotation in plain torch."""

from __future__ import annotations

import torch

from thresher.engines.native.layers.norm import rms_norm
from thresher.engines.native.layers.rope import rotate


def norm_rotate(
    x: torch.Tensor, scale: torch.Tensor, eps: float, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor
) -> None:
    """See :func:`thresher.engines.native.kernels.rotate.norm_rotate`."""
    out.copy_(rotate(rms_norm(x, scale, eps), cos, sin))
