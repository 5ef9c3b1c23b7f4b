"""What the 8-bit precisions share: one factor per row, rows padded to what the hardware multiplies.

On a CUDA device with Triton the kernels of :mod:`.row_kernels` do the work, elsewhere the plain functions here.
"""

from __future__ import annotations

import functools
import importlib.util

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

#: The tensor cores' multiples in both dimensions of a weight.
STEP = 16
#: A row whose largest value is smaller is rounded to zero, and its factor stays a number that can be divided by.
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
    return x.abs().amax(dim=1, keepdim=True).float().clamp_(min=_LEAST).mul_(1 / largest)


def quantize_rows(x: torch.Tensor, largest: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row of ``x`` [rows, columns] over its factor, rounded to nearest in ``dtype`` (int8 or float8_e4m3fn).

    Returns the values and the factors, float32 [rows, 1]. A row with a NaN has a NaN for its factor.
    """
    if len(x) and _uses_kernels(x.device, dtype):
        from thresher.engines.native.linear import row_kernels

        return row_kernels.quantize_rows(x, largest, _LEAST, dtype)
    return quantize_rows_reference(x, largest, dtype)


def quantize_rows_reference(x: torch.Tensor, largest: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`quantize_rows` in plain arithmetic."""
    factors = row_factors(x, largest)
    scaled = x / factors
    return (scaled.round_() if dtype == torch.int8 else scaled).to(dtype), factors


def scale_sums(sums: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, y: torch.Tensor) -> None:
    """``y`` [T, out] becomes ``sums`` (int32 [T, out or more]) times factors of rows [T, 1] and columns [1, out...]."""
    if len(y) and _uses_kernels(y.device, torch.int8):
        from thresher.engines.native.linear import row_kernels

        row_kernels.scale_sums(sums, rows, columns, y)
    else:
        scale_sums_reference(sums, rows, columns, y)


def scale_sums_reference(sums: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, y: torch.Tensor) -> None:
    """:func:`scale_sums` in plain arithmetic."""
    width = y.shape[1]
    y.copy_((sums[:, :width] * rows).mul_(columns[:, :width]))


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _uses_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Triton rounds to E4M3 from compute capability 8.9 on."""
    if device.type != "cuda" or not _has_triton():
        return False
    return torch.cuda.get_device_capability(device) >= ((8, 0) if dtype == torch.int8 else (8, 9))
