"""The weights of one layer by name, as its parts ask for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from thresher.engines.native.layers.experts import Experts
from thresher.engines.native.linear import Linear


class Parts:
    """Matrices as linear layers, everything else as float32 vectors; norms with their offset added."""

    def __init__(
        self,
        linears: Mapping[str, Linear],
        experts: Mapping[str, Experts],
        vectors: Mapping[str, torch.Tensor],
        norms: Mapping[str, torch.Tensor],
    ) -> None:
        self._linears = linears
        self._experts = experts
        self._vectors = vectors
        self._norms = norms

    def linear(self, name: str) -> Linear:
        """The matrix ``name`` (without ``.weight``)."""
        return self._linears[name]

    def experts(self, name: str) -> Experts:
        """The matrices ``name`` of all experts."""
        return self._experts[name]

    def vector(self, name: str) -> torch.Tensor:
        """The tensor ``name`` as the checkpoint has it."""
        return self._vectors[name]

    def norm(self, name: str) -> torch.Tensor:
        """The scale of the norm ``name`` (without ``.weight``)."""
        return self._norms[name]

    def prepared(self) -> Parts:
        """The same, in the precisions that are multiplied in; shares what need not be expanded."""
        linears = {name: linear.prepared() for name, linear in self._linears.items()}
        experts = {name: stacked.prepared() for name, stacked in self._experts.items()}
        expanded = any(linears[name] is not linear for name, linear in self._linears.items())
        return Parts(linears, experts, self._vectors, self._norms) if expanded else self
