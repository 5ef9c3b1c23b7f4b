"""A mixture of experts with an optional shared expert.

Rows are sorted by expert, so that each of the two matrices is one product for all experts. Nothing here depends on
other tokens, not even the order of sums: a token's experts are added from the best one down.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from thresher.engines.native.config import MoeConfig
from thresher.engines.native.kernels.combine import combine
from thresher.engines.native.kernels.grouped import Groups
from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rows import activation
from thresher.engines.native.kernels.swiglu import swiglu
from thresher.engines.native.layers.mlp import Mlp
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Activation, Linear


@dataclass(frozen=True, slots=True)
class Routing:
    """T tokens, k experts for each; M = T * k rows sorted by expert."""

    weights: torch.Tensor  # float32 [T, k]
    tokens: torch.Tensor  # int64 [M]: the token of each row
    places: torch.Tensor  # int64 [T, k]: the row of each token's expert
    groups: Groups  # rows of each expert


class Moe:
    """Each token goes to its best experts; their outputs are added, weighted by the router."""

    #: The router reads the normed rows unrounded.
    reads_plain = True

    def __init__(self, moe: MoeConfig, parts: Parts) -> None:
        self._moe = moe
        self._parts = parts
        self._gate_up = parts.experts("mlp.experts.gate_up_proj")
        self._down = parts.experts("mlp.experts.down_proj")

    @property
    def reads(self) -> Linear:
        """See :class:`~thresher.engines.native.layers.mlp.FeedForward`."""
        return self._gate_up.one

    def add_to(self, total: torch.Tensor, h: Normed) -> None:
        """See :class:`~thresher.engines.native.layers.mlp.FeedForward`."""
        plain, x = h.plain_rows(), h.activation(self.reads)
        routing = self._route(plain)
        found = self._experts(x, routing)
        if not self._moe.shared_expert_size:
            combine(found, routing.places, routing.weights, None, None, total)
            return
        gate = self._parts.linear("mlp.shared_expert_gate")(plain)
        combine(found, routing.places, routing.weights, self._shared(x), gate, total)

    def _experts(self, x: Activation, routing: Routing) -> torch.Tensor:
        """[M, hidden]."""
        gate_up = self._gate_up(x.picked(routing.tokens), routing.groups)
        down = self._down.one
        rows = activation(down, lambda quantize: swiglu(gate_up, quantize=quantize), gate_up.dtype)
        return self._down(rows, routing.groups)

    def _route(self, h: torch.Tensor) -> Routing:
        count, experts = self._moe.experts_per_token, self._moe.experts
        scores = self._parts.linear("mlp.gate")(h).float().softmax(-1)
        weights, chosen = scores.topk(count, dim=-1)
        if self._moe.normalize_top_k:
            weights = weights / weights.sum(-1, keepdim=True)
        sorted_experts, order = chosen.flatten().sort(stable=True)
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=h.device)
        numbers = torch.arange(experts, device=h.device)
        ends = torch.searchsorted(sorted_experts, numbers, right=True).int()
        return Routing(weights, order // count, places.view(-1, count), Groups(ends, len(order)))

    def _shared(self, x: Activation) -> torch.Tensor:
        parts = self._parts
        mlp = Mlp(parts.linear("mlp.shared_expert.gate_up_proj"), parts.linear("mlp.shared_expert.down_proj"))
        return mlp.down(mlp.gated(x))
