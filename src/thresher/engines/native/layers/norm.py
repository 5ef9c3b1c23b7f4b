"""Root-mean-square norms, computed in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name


def rms_norm(x: torch.Tensor, scale: torch.Tensor, eps: float) -> torch.Tensor:
    """``x / sqrt(mean(x^2) + eps) * scale`` over the last dimension; ``scale`` float32, any offset added already."""
    return F.rms_norm(x.float(), scale.shape, scale, eps).to(x.dtype)


def l2_norm(x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """``x / sqrt(sum(x^2) + eps)`` over the last dimension, in float32."""
    wide = x.float()
    return wide * torch.rsqrt(wide.square().sum(-1, keepdim=True) + eps)
