"""The Triton kernel that expands nvfp4 weights; its plain twins are in :mod:`.nvfp4_expand`.

A number's bits are put where float16 has exponent and mantissa, and 2^14 makes up for the difference in bias, for 0.5
too, which becomes a float16 below its normal numbers. A number times a block factor has at most six significant bits,
so that float16 holds it exactly.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import triton
import triton.language as tl

_BLOCK = 16
_BLOCKS_PER_PROGRAM = 512


def expand(packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """As :func:`.nvfp4_expand.expand`."""
    return _launch(packed, blocks, factors, 1.0, dtype)


def expand_fp8(packed: torch.Tensor, blocks: torch.Tensor, divisor: float) -> torch.Tensor:
    """The values of :func:`.nvfp4_expand.expand_fp8`."""
    return _launch(packed, blocks, None, 1 / divisor, torch.float8_e4m3fn)


def _launch(
    packed: torch.Tensor, blocks: torch.Tensor, factors: torch.Tensor | None, times: float, dtype: torch.dtype
) -> torch.Tensor:
    values = torch.empty(len(packed), 2 * packed.shape[1], dtype=dtype, device=packed.device)
    with torch.cuda.device(packed.device) if packed.device.type == "cuda" else nullcontext():
        _expand[(triton.cdiv(blocks.numel(), _BLOCKS_PER_PROGRAM),)](
            packed,
            blocks,
            values if factors is None else factors,
            values,
            blocks.shape[1],
            blocks.numel(),
            times,
            SCALED=factors is not None,
            BLOCKS=_BLOCKS_PER_PROGRAM,
            BLOCK=_BLOCK,
            num_warps=4,
        )
    return values


@triton.jit  # type: ignore[untyped-decorator]
def _expand(  # type: ignore[no-untyped-def]
    packed,
    blocks,
    factors,
    values,
    per_row,
    total,
    times,
    SCALED: tl.constexpr,  # noqa: N803 - Triton's custom for constants, also below
    BLOCKS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    block = tl.program_id(0).to(tl.int64) * BLOCKS + tl.arange(0, BLOCKS)[:, None]
    here = block < total
    pair = tl.arange(0, BLOCK // 2)[None, :]
    codes = tl.load(packed + block * (BLOCK // 2) + pair, mask=here, other=0).to(tl.int16)
    scales = (tl.load(blocks + block, mask=here, other=0.0).to(tl.float32) * times).to(tl.float16)
    low = ((codes & 0x07) << 9) | ((codes & 0x08) << 12)
    high = ((codes & 0x70) << 5) | ((codes & 0x80) << 8)
    numbers = tl.interleave(low, high).to(tl.float16, bitcast=True) * 16384.0 * scales
    if SCALED:
        numbers = numbers.to(tl.float32) * tl.load(factors + block // per_row, mask=here, other=0.0)
    inside = tl.arange(0, BLOCK)[None, :]
    tl.store(values + block * BLOCK + inside, numbers.to(values.dtype.element_ty), mask=here)
