"""The root-mean-square norm in front of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from thresher.engines.native.kernels.choice import implementation
from thresher.engines.native.kernels.rows import Rows, activation
from thresher.engines.native.linear import Activation, Linear

__all__ = ["Normed", "norm"]


@dataclass(frozen=True, slots=True)
class Normed:
    """The norm of the residual stream: plain, rounded to E4M3, or both. ``dtype`` is the stream's."""

    plain: torch.Tensor | None
    rows: Rows | None
    dtype: torch.dtype

    def activation(self, linear: Linear) -> Activation:
        """The norm as ``linear`` multiplies it."""
        rows = self.rows if self.rows is not None else Rows(self.plain_rows())
        return activation(linear, lambda _: rows, self.dtype)

    def plain_rows(self) -> torch.Tensor:
        """The norm as it is."""
        return cast(torch.Tensor, self.plain)  # the caller asked for it


def norm(x: torch.Tensor, scale: torch.Tensor, eps: float, *, plain: bool, quantize: bool) -> Normed:
    """Norm of ``x`` [T, n]; ``scale`` float32 [n], any offset added already.

    ``plain`` and ``quantize``: which forms of it are wanted.
    """
    return implementation("norm", x.device).norm(x, scale, eps, plain=plain, quantize=quantize)  # type: ignore[no-any-return]
