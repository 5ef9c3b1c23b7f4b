"""The dense feed-forward: SwiGLU (Shazeer, "GLU Variants Improve Transformer", 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.linear import Activation, Linear


class Mlp:
    """``down(silu(gate(h)) * up(h))``; gate and up are one weight, the gate's rows first."""

    def __init__(self, gate_up: Linear, down: Linear) -> None:
        self._gate_up = gate_up
        self._down = down

    def __call__(self, h: torch.Tensor | Activation) -> torch.Tensor:
        """[T, hidden] to [T, hidden]."""
        gate, up = self._gate_up(h).chunk(2, dim=-1)
        return self._down(F.silu(gate).mul_(up))
