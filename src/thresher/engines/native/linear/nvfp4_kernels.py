"""Triton kernels that expand nvfp4 weights, one program per row; the plain twins are in :mod:`.nvfp4_expand`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_BLOCK = 16
_BLOCKS_PER_WARP = 64


def expand(packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """As :func:`.nvfp4_expand.expand`."""
    values = torch.empty(len(packed), 2 * packed.shape[1], dtype=dtype, device=packed.device)
    _launch(packed, blocks, factors, values, factors, fp8=False)
    return values


def expand_fp8(
    packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`.nvfp4_expand.expand_fp8`."""
    values = torch.empty(len(packed), 2 * packed.shape[1], dtype=torch.float8_e4m3fn, device=packed.device)
    found = torch.empty(len(packed), dtype=torch.float32, device=packed.device)
    _launch(packed, blocks, factors, values, found, fp8=True)
    return values, found


def _launch(
    packed: torch.Tensor,
    blocks: torch.Tensor,
    factors: torch.Tensor,
    values: torch.Tensor,
    found: torch.Tensor,
    *,
    fp8: bool,
) -> None:
    count = triton.next_power_of_2(blocks.shape[1])
    _expand_row[(len(packed),)](
        packed,
        blocks,
        factors,
        values,
        found,
        blocks.shape[1],
        BLOCKS=count,
        BLOCK=_BLOCK,
        FP8=fp8,
        num_warps=max(1, min(8, count // _BLOCKS_PER_WARP)),
    )


@triton.jit  # type: ignore[untyped-decorator]
def _expand_row(  # type: ignore[no-untyped-def]
    packed,
    blocks,
    factors,
    values,
    found,
    count,
    BLOCKS: tl.constexpr,  # noqa: N803 - Triton's custom for constants, also below
    BLOCK: tl.constexpr,  # noqa: N803
    FP8: tl.constexpr,  # noqa: N803
):
    row = tl.program_id(0).to(tl.int64)
    block = tl.arange(0, BLOCKS)[:, None]
    here = block < count
    pair = tl.arange(0, BLOCK // 2)[None, :]
    codes = tl.load(packed + row * count * (BLOCK // 2) + block * (BLOCK // 2) + pair, mask=here, other=0).to(tl.int32)
    scales = tl.load(blocks + row * count + block, mask=here, other=0.0).to(tl.float32)
    low = _number(codes & 15) * scales
    high = _number(codes >> 4) * scales
    factor = tl.load(factors + row)
    if FP8:
        largest = tl.maximum(tl.max(tl.abs(low)), tl.max(tl.abs(high)))
        bits = tl.maximum(largest, 0.001953125).to(tl.int32, bitcast=True)
        power = (bits >> 23) - 127 - 8 + ((bits & 0x7FFFFF) > 0x600000).to(tl.int32)
        tl.store(found + row, ((power + 127) << 23).to(tl.float32, bitcast=True) * factor)
        factor = ((127 - power) << 23).to(tl.float32, bitcast=True)
    both = tl.interleave(low * factor, high * factor)
    inside = tl.arange(0, BLOCK)[None, :]
    tl.store(values + row * count * BLOCK + block * BLOCK + inside, both.to(values.dtype.element_ty), mask=here)


@triton.jit  # type: ignore[untyped-decorator]
def _number(code):
    """The E2M1 number of a 4-bit code."""
    power = (code >> 1) & 3
    mantissa = code & 1
    quarters = tl.where(power == 0, 2 * mantissa, (2 + mantissa) << power)
    return tl.where(code >= 8, -quarters, quarters).to(tl.float32) * 0.25
