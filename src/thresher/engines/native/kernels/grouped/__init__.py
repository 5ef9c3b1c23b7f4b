"""One product for all experts: each group of rows times its own matrix.

Shapes: M rows in G groups that follow one another, matrices [G, out, in].
"""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.choice import runs_triton
from thresher.engines.native.kernels.grouped.contract import GroupedKernel, Groups
from thresher.engines.native.kernels.rows import Rows

__all__ = ["GroupedKernel", "Groups", "grouped_multiply", "has_kernel"]


def grouped_multiply(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """``x`` [M, in] and ``weight`` in bf16, or both in E4M3 with ``factors`` [G, 1, out]; to [M, out] in ``dtype``."""
    return _choose(weight.device, weight.dtype)(x, weight, factors, groups, dtype)


def has_kernel(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether :func:`grouped_multiply` is faster here than one product after the other."""
    if not runs_triton(device):
        return False
    if dtype == torch.float8_e4m3fn:
        return torch.cuda.get_device_capability(device) >= (8, 9)
    return dtype == torch.bfloat16


def _choose(device: torch.device, dtype: torch.dtype) -> GroupedKernel:
    """The fastest that can run here."""
    from thresher.engines.native.kernels.grouped import library

    if library.can_run(device):
        return library.grouped_multiply
    if has_kernel(device, dtype):
        from thresher.engines.native.kernels.grouped import triton

        return triton.grouped_multiply
    from thresher.engines.native.kernels.grouped import reference

    return reference.grouped_multiply
