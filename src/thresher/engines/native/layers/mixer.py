"""The contract of what mixes tokens: attention and DeltaNet."""

from __future__ import annotations

from typing import Protocol

import torch

from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.layers.memory import HeldLayer, Memory
from thresher.engines.native.linear import Linear
from thresher.engines.native.step_view import StepView


class Mixer(Protocol):
    """One layer's token mixing. A memory and what is held come from a mixer of the same kind."""

    @property
    def reads(self) -> Linear:
        """A layer that multiplies the normed rows, in whose precision they are wanted."""

    def memory(self, rows: int, held: HeldLayer | None, dtype: torch.dtype, device: torch.device) -> Memory:
        """An empty memory for a pack of so many rows, behind what is held of the prefix."""

    def __call__(self, h: Normed, view: StepView, memory: Memory, *, pruned: bool) -> torch.Tensor:
        """Normed [rows, hidden] to [rows, hidden]; pruned, the output has the wanted rows only."""
