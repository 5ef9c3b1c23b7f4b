"""Norm and round in plain torch."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rows import rounded
from thresher.engines.native.layers.norm import rms_norm


def norm(x: torch.Tensor, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.norm`."""
    normed = rms_norm(x, scale, eps)
    return Normed(normed if plain else None, rounded(normed) if quantize else None, x.dtype)
