"""Grouped products by torch's own kernels, which are CUTLASS's for Hopper."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.grouped.contract import Groups
from thresher.engines.native.kernels.rows import Rows

_HOPPER = (9, 0)
#: The most groups that the kernels take.
MOST_GROUPS = 1023


def can_run(device: torch.device) -> bool:
    """Whether this torch has them, and the card is one that they are made for; elsewhere torch goes group by group."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) != _HOPPER:
        return False
    return hasattr(torch, "_grouped_mm") and hasattr(torch, "_scaled_grouped_mm")


def grouped_multiply(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.grouped.grouped_multiply`."""
    turned = weight.transpose(1, 2)
    if x.factors is None or factors is None:
        return torch._grouped_mm(x.values, turned, offs=groups.ends).to(dtype)
    found = torch._scaled_grouped_mm(
        x.values,
        turned,
        x.factors.view(-1),
        factors.view(len(weight), -1),
        offs=groups.ends,
        out_dtype=torch.bfloat16,
        use_fast_accum=True,
    )
    return found.to(dtype)
