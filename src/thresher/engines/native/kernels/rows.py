"""What a fused operation hands to the matrix multiply behind it: rows in the form in which they are multiplied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from thresher.engines.native.linear import Activation, Linear
from thresher.engines.native.linear.rows import quantize_rows_reference

_FP8 = "fp8"
_LARGEST = 448.0  # of E4M3


@dataclass(frozen=True, slots=True)
class Rows:
    """``values`` [T, n]: as computed, or, with ``factors`` (float32 [T, 1]), divided by them and rounded to E4M3."""

    values: torch.Tensor
    factors: torch.Tensor | None = None


def rounded(x: torch.Tensor) -> Rows:
    """``x`` [T, n] rounded in plain torch: the last step of every reference."""
    return Rows(*quantize_rows_reference(x, _LARGEST, torch.float8_e4m3fn))


def quantizes(linear: Linear) -> bool:
    """Whether the operation before ``linear`` should round to E4M3 itself."""
    return linear.precision == _FP8


def activation(linear: Linear, make: Callable[[bool], Rows], dtype: torch.dtype) -> Activation:
    """What ``linear`` multiplies, made by ``make(quantize)``; ``dtype`` is that of the linear's output."""
    rows = make(quantizes(linear))
    if rows.factors is None:
        return linear.quantize_activation(rows.values)
    return Activation(_FP8, rows.values, (rows.factors,), dtype)
