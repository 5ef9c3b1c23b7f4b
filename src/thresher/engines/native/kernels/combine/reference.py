"""Adding what experts found in plain torch."""

from __future__ import annotations

import torch


def combine(
    found: torch.Tensor,
    places: torch.Tensor,
    weights: torch.Tensor,
    shared: torch.Tensor | None,
    shared_gate: torch.Tensor | None,
) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.combine.combine`."""
    total = torch.zeros(len(places), found.shape[1], dtype=torch.float32, device=found.device)
    for slot in range(places.shape[1]):
        total += found[places[:, slot]].float() * weights[:, slot, None]
    if shared is not None and shared_gate is not None:
        total += shared.float() * torch.sigmoid(shared_gate.float())
    return total.to(found.dtype)
