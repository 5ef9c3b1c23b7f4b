"""The gated delta rule over sequences of any lengths (Yang et al., "Gated Delta Networks", 2024).

Per value head, with the state ``S`` [K, V] and per token a query, key, value, log decay ``g`` and rate ``beta``::

    S = exp(g) * S;  S = S + k (beta * (v - S^T k))^T;  o = S^T q

Shapes: T tokens, N sequences, Hk key heads, Hv value heads (a multiple), K and V dimensions of keys and values.
"""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs, DeltaRuleKernel

__all__ = ["DeltaRuleInputs", "DeltaRuleKernel", "choose_delta_rule"]


def choose_delta_rule(device: torch.device, key_dim: int, value_dim: int) -> DeltaRuleKernel:
    """The fastest that can run here for heads of these sizes."""
    if device.type == "cuda":
        from thresher.engines.native.kernels.delta_rule import fla, flashinfer

        if flashinfer.takes(key_dim, value_dim) and flashinfer.can_run(device):
            return flashinfer.run
        if fla.can_run():
            return fla.run
    from thresher.engines.native.kernels.delta_rule import chunked

    return chunked.run
