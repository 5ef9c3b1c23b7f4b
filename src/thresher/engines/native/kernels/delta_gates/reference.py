"""The gates in plain torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name


def delta_gates(ab: torch.Tensor, a_log: torch.Tensor, dt_bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """See :func:`thresher.engines.native.kernels.delta_gates.delta_gates`."""
    a, b = ab.float().chunk(2, dim=-1)
    return a_log.exp().neg() * F.softplus(a + dt_bias), torch.sigmoid(b)
