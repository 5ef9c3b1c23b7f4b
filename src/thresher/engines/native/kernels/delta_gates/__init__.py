"""How fast each head of the delta rule forgets and learns, from the two small products of a token."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation

__all__ = ["delta_gates"]


def delta_gates(ab: torch.Tensor, a_log: torch.Tensor, dt_bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log decays ``-exp(a_log) * softplus(a + dt_bias)`` and rates ``sigmoid(b)``, both float32 [T, heads].

    ``ab`` [T, 2 * heads], the a's first; ``a_log`` and ``dt_bias`` float32 [heads].
    """
    return implementation("delta_gates", ab.device).delta_gates(ab, a_log, dt_bias)  # type: ignore[no-any-return]
