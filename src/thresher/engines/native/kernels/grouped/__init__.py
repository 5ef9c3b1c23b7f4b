"""One product for all experts: each group of rows times its own matrix.

Shapes: M rows in G groups that follow one another, matrices [G, out, in].
"""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import runs_triton
from thresher.engines.native.kernels.grouped.groups import Groups
from thresher.engines.native.kernels.rows import Rows

#: Compute capability from which tensor cores multiply E4M3.
_LEAST_FOR_FP8 = (8, 9)

__all__ = ["Groups", "grouped_multiply", "has_kernel"]


def grouped_multiply(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """``x`` [M, in] and ``weight`` in bf16, or both in E4M3 with ``factors`` [G, 1, out]; to [M, out] in ``dtype``.

    No row of the result depends on other rows.
    """
    if has_kernel(weight.device, weight.dtype):
        from thresher.engines.native.kernels.grouped import triton

        return triton.grouped_multiply(x, weight, factors, groups, dtype)
    from thresher.engines.native.kernels.grouped import reference

    return reference.grouped_multiply(x, weight, factors, groups, dtype)


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether :func:`grouped_multiply` is one launch here, and so faster than one product after the other."""
    if not runs_triton(device):
        return False
    if dtype == torch.float8_e4m3fn:
        return torch.cuda.get_device_capability(device) >= _LEAST_FOR_FP8
    return dtype == torch.bfloat16
