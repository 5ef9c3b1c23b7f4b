"""Adding what experts found in plain torch."""

from __future__ import annotations

import torch


def combine(
    found: torch.Tensor,
    places: torch.Tensor,
    weights: torch.Tensor,
    shared: torch.Tensor | None,
    shared_gate: torch.Tensor | None,
    total: torch.Tensor,
) -> None:
    """See :func:`thresher.engines.native.kernels.combine.combine`."""
    added = torch.zeros(len(places), found.shape[1], dtype=torch.float32, device=found.device)
    for slot in range(places.shape[1]):
        added += found[places[:, slot]].float() * weights[:, slot, None]
    if shared is not None and shared_gate is not None:
        added += shared.float() * torch.sigmoid(shared_gate.float())
    total.copy_(total.float() + added)
