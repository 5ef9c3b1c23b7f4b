"""nvfp4 weights made into those of another precision, in one pass over them.

On a CUDA device with Triton the kernels of :mod:`.nvfp4_kernels` do the work, elsewhere the plain functions here.
Shapes: R rows (outputs), n inputs; ``packed`` uint8 [R, n / 2], ``blocks`` E4M3 [R, n / 16], ``factors`` float32 [R].
"""

from __future__ import annotations

import importlib.util

import torch

from thresher.engines.native.linear.nvfp4 import dequantize

#: What numbers times block factors, at most 6 * 448, are divided by to be E4M3's, at most 448.
_DIVISOR = 8.0


def expand(packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The values, [R, n]."""
    if _uses_kernels(packed.device, (8, 0)):
        from thresher.engines.native.linear import nvfp4_kernels

        return nvfp4_kernels.expand(packed, blocks, factors, dtype)
    return expand_reference(packed, blocks, factors, dtype)


def expand_reference(
    packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """:func:`expand` in plain arithmetic."""
    return dequantize(packed, blocks, factors[:, None]).to(dtype)


def expand_fp8(packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """E4M3 values [R, n] and the factor of each row, float32 [R].

    All are divided by the same power of two, so that only a product of number and block factor is rounded which has
    more than E4M3's four significant bits: 1.5, 3 or 6 times a factor that has more than two or three.
    """
    if _uses_kernels(packed.device, (8, 9)):
        from thresher.engines.native.linear import nvfp4_kernels

        return nvfp4_kernels.expand_fp8(packed, blocks, _DIVISOR), factors * _DIVISOR
    return expand_fp8_reference(packed, blocks, factors)


def expand_fp8_reference(
    packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`expand_fp8` in plain arithmetic."""
    values = dequantize(packed, blocks, torch.full((1, 1), 1 / _DIVISOR, device=packed.device))
    return values.to(torch.float8_e4m3fn), factors * _DIVISOR


def _uses_kernels(device: torch.device, capability: tuple[int, int]) -> bool:
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= capability
