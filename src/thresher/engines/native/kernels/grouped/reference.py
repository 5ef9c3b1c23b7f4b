"""Grouped products one by one, in float32."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.grouped.groups import Groups
from thresher.engines.native.kernels.rows import Rows


def grouped_multiply(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.grouped.grouped_multiply`."""
    out = torch.empty(len(x.values), weight.shape[1], dtype=dtype, device=weight.device)
    start = 0
    for group, end in enumerate(groups.on_host):
        if end > start:
            product = x.values[start:end].float() @ weight[group].float().t()
            if x.factors is not None:
                product *= x.factors[start:end]
            if factors is not None:
                product *= factors[group]
            out[start:end] = product
        start = end
    return out
