"""What queries and keys go through before attention: a norm per head, then rotary positions."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation

__all__ = ["norm_rotate"]


def norm_rotate(
    x: torch.Tensor, scale: torch.Tensor, eps: float, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor
) -> None:
    """``x`` [T, H, D], any strides but the last, into ``out`` [T, H, D], contiguous.

    ``scale`` float32 [D]; ``cos`` and ``sin`` float32 [T, 1, R / 2], of the first R dimensions.
    """
    implementation("rotate", x.device).norm_rotate(x, scale, eps, cos, sin, out)
