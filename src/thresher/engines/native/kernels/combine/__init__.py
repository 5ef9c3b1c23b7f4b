"""What a token's experts found is added to it by the router's weights, always in the same order."""

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
    total: torch.Tensor,
) -> None:
    """Add to ``total`` [T, n], of each token, the rows ``places`` (int64 [T, k]) of ``found`` [T * k, n].

    They count by ``weights`` (float32 [T, k]); to them comes ``shared`` [T, n] by the sigmoid of ``shared_gate``
    [T, 1], where there is a shared expert. All of a token is added in float32 and rounded once.
    """
    implementation("combine", found.device).combine(found, places, weights, shared, shared_gate, total)
