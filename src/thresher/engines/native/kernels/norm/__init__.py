"""The root-mean-square norm in front of a block, with the addition to the residual stream that comes before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows, activation
from thresher.engines.native.linear import Activation, Linear

__all__ = ["Normed", "add_norm"]


@dataclass(frozen=True, slots=True)
class Normed:
    """``total`` [T, n]: the residual stream after the addition. The norm of it, plain, rounded to E4M3, or both."""

    total: torch.Tensor
    plain: torch.Tensor | None
    rows: Rows | None

    def activation(self, linear: Linear) -> Activation:
        """The norm as ``linear`` multiplies it."""
        rows = self.rows if self.rows is not None else Rows(self.plain_rows())
        return activation(linear, lambda _: rows, self.total.dtype)

    def plain_rows(self, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """The norm as it is, of the rows ``wanted`` (all, where that is None)."""
        plain = cast(torch.Tensor, self.plain)  # the caller asked for it
        return plain if wanted is None else plain[wanted]


def add_norm(
    x: torch.Tensor, added: torch.Tensor | None, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool
) -> Normed:
    """Norm of ``x + added`` [T, n]; ``scale`` float32 [n], any offset added already.

    The sum is written over ``added``; where that is None, ``total`` is ``x``. ``plain`` and ``quantize``: which forms
    of the norm are wanted.
    """
    return implementation("norm", x.device).add_norm(x, added, scale, eps, plain=plain, quantize=quantize)  # type: ignore[no-any-return]
