"""The dense feed-forward: SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020)."""

from __future__ import annotations

from typing import Protocol

import torch

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rows import activation
from thresher.engines.native.kernels.swiglu import swiglu
from thresher.engines.native.linear import Activation, Linear


class FeedForward(Protocol):
    """The second half of a layer."""

    @property
    def reads(self) -> Linear:
        """A layer that multiplies the normed rows, in whose precision they are wanted."""

    @property
    def reads_plain(self) -> bool:
        """Whether they are wanted as they are, too."""

    def add_to(self, total: torch.Tensor, h: Normed) -> None:
        """Add what it makes of ``h`` [T, hidden] to the residual stream ``total`` [T, hidden]."""


class Mlp:
    """``down(silu(gate(h)) * up(h))``; gate and up are one weight, the gate's rows first."""

    reads_plain = False

    def __init__(self, gate_up: Linear, down: Linear) -> None:
        self.down = down
        self._gate_up = gate_up

    @property
    def reads(self) -> Linear:
        """See :class:`FeedForward`."""
        return self._gate_up

    def add_to(self, total: torch.Tensor, h: Normed) -> None:
        """See :class:`FeedForward`."""
        self.down.add_to(total, self.gated(h.activation(self._gate_up)))

    def gated(self, h: Activation) -> Activation:
        """[T, hidden] to what ``down`` multiplies, [T, intermediate]."""
        gate_up = self._gate_up(h)
        return activation(self.down, lambda quantize: swiglu(gate_up, quantize=quantize), gate_up.dtype)
