"""The weights of one layer by name, as its parts ask for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from thresher.engines.native.linear import Linear


class Parts:
    """Matrices as linear layers, everything else as float32 vectors; norms with their offset added."""

    def __init__(
        self, linears: Mapping[str, Linear], vectors: Mapping[str, torch.Tensor], norms: Mapping[str, torch.Tensor]
    ) -> None:
        self._linears = linears
        self._vectors = vectors
        self._norms = norms

    def linear(self, name: str) -> Linear:
        """The matrix ``name`` (without ``.weight``)."""
        return self._linears[name]

    def vector(self, name: str) -> torch.Tensor:
        """The tensor ``name`` as the checkpoint has it."""
        return self._vectors[name]

    def norm(self, name: str) -> torch.Tensor:
        """The scale of the norm ``name`` (without ``.weight``)."""
        return self._norms[name]
