"""Add, norm and round in plain torch."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rows import rounded
from thresher.engines.native.layers.norm import rms_norm


def add_norm(
    x: torch.Tensor, added: torch.Tensor | None, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool
) -> Normed:
    """See :func:`thresher.engines.native.kernels.norm.add_norm`."""
    total = x if added is None else added.add_(x)
    normed = rms_norm(total, scale, eps)
    return Normed(total, normed if plain else None, rounded(normed) if quantize else None)
