"""The contract of the gated delta rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRuleInputs:
    """Value head ``j`` reads key head ``j // (Hv // Hk)``. Queries come normed and scaled, keys normed."""

    queries: torch.Tensor  # [T, Hk, K]
    keys: torch.Tensor  # [T, Hk, K]
    values: torch.Tensor  # [T, Hv, V]
    log_decays: torch.Tensor  # [T, Hv], float32, at most 0
    rates: torch.Tensor  # [T, Hv], float32, 0 to 1
    lengths: Sequence[int]  # of the N sequences, each at least 1; they follow one another and sum to T
    states: torch.Tensor  # [N, Hv, K, V], float32: before the first token of each sequence; not changed


class DeltaRuleKernel(Protocol):
    """Runs the rule over all sequences."""

    def __call__(self, inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [T, Hv, V] in the values' dtype, and the states after the last tokens [N, Hv, K, V], float32."""
