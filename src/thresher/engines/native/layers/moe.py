"""A mixture of experts with an optional shared expert."""

from __future__ import annotations

from typing import cast

import torch

from thresher.engines.native.config import MoeConfig
from thresher.engines.native.layers.mlp import Mlp
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Activation


class Moe:
    """Each token goes to its best experts; their outputs are added, weighted by the router."""

    def __init__(self, moe: MoeConfig, parts: Parts) -> None:
        self._moe = moe
        self._parts = parts
        self._experts = [
            Mlp(parts.linear(f"mlp.experts.{index}.gate_up_proj"), parts.linear(f"mlp.experts.{index}.down_proj"))
            for index in range(moe.experts)
        ]

    @property
    def reads(self) -> None:
        """The router and every expert read the rows themselves."""

    def __call__(self, h: torch.Tensor | Activation) -> torch.Tensor:
        """[T, hidden] to [T, hidden]."""
        h = cast(torch.Tensor, h)  # as it has no ``reads``
        weights, chosen = self._route(h)
        out = torch.zeros(h.shape, dtype=torch.float32, device=h.device)
        order = chosen.flatten().argsort(stable=True)
        counts = torch.bincount(chosen.flatten(), minlength=self._moe.experts).tolist()
        tokens = order // self._moe.experts_per_token
        weights = weights.flatten()[order]
        first = 0
        for expert, count in zip(self._experts, counts, strict=True):
            if count:
                rows = tokens[first : first + count]
                found = expert(h[rows]).float() * weights[first : first + count, None]
                out.index_add_(0, rows, found)
                first += count
        if self._moe.shared_expert_size:
            out += self._shared(h)
        return out.to(h.dtype)

    def _route(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and experts of each token, both [T, experts_per_token]; weights float32."""
        scores = self._parts.linear("mlp.gate")(h).float().softmax(-1)
        weights, chosen = scores.topk(self._moe.experts_per_token, dim=-1)
        if self._moe.normalize_top_k:
            weights = weights / weights.sum(-1, keepdim=True)
        return weights, chosen

    def _shared(self, h: torch.Tensor) -> torch.Tensor:
        parts = self._parts
        expert = Mlp(parts.linear("mlp.shared_expert.gate_up_proj"), parts.linear("mlp.shared_expert.down_proj"))
        return expert(h).float() * torch.sigmoid(parts.linear("mlp.shared_expert_gate")(h).float())
