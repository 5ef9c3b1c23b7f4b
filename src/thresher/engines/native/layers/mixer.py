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

    @property
    def reads_plain(self) -> bool:
        """Whether they are wanted as they are, too."""

    def memory(self, rows: int, held: HeldLayer | None, dtype: torch.dtype, device: torch.device) -> Memory:
        """An empty memory for a pack of so many rows, behind what is held of the prefix."""

    def add_to(self, total: torch.Tensor, h: Normed, view: StepView, memory: Memory, *, pruned: bool) -> None:
        """Add what it makes of ``h`` [rows, hidden] to the residual stream ``total`` [rows, hidden].

        Pruned, ``total`` is of the wanted rows only; there may be none, and ``memory`` takes all rows all the same.
        """
