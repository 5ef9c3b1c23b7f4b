"""What the 8-bit precisions share: one factor per row, rows padded to what the hardware multiplies."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

#: The tensor cores' multiples in both dimensions of a weight.
STEP = 16
#: Smaller rows than this are rounded to zero, and their factor stays a number that can be divided by.
_LEAST = 1e-12


def check_width(precision: str, in_features: int) -> None:
    """Raises ``ValueError`` unless the width is a multiple of :data:`STEP`."""
    if in_features % STEP:
        raise ValueError(
            f"{precision} multiplies widths that are multiples of {STEP}, and this weight has {in_features}; use bf16"
        )


def padded(rows: int) -> int:
    """``rows`` rounded up to a multiple of :data:`STEP`."""
    return -(-rows // STEP) * STEP


def pad_rows(weight: torch.Tensor) -> torch.Tensor:
    """``weight`` [out, in] with zero rows up to a multiple of :data:`STEP`."""
    return F.pad(weight, (0, 0, 0, padded(len(weight)) - len(weight)))


def row_factors(x: torch.Tensor, largest: float) -> torch.Tensor:
    """float32 [rows, 1]: what the largest value of each row is divided by to become ``largest``."""
    return x.abs().amax(dim=1, keepdim=True).float().clamp_(min=_LEAST).div_(largest)
