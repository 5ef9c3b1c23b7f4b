"""What a token's experts found becomes one row: added by the router's weights, always in the same order."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import implementation

__all__ = ["combine"]


def combine(
    found: torch.Tensor,
    places: torch.Tensor,
    weights: torch.Tensor,
    shared: torch.Tensor | None,
    shared_gate: torch.Tensor | None,
) -> torch.Tensor:
    """``found`` [T * k, n] to [T, n]: of each token the rows ``places`` (int64 [T, k]) by ``weights`` (float32 [T, k]).

    To that comes ``shared`` [T, n] by the sigmoid of ``shared_gate`` [T, 1], where there is a shared expert.
    """
    return implementation("combine", found.device).combine(found, places, weights, shared, shared_gate)  # type: ignore[no-any-return]
