"""Norm and rotation of all heads of a row in one program."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.triton_rows import warps


def norm_rotate(
    x: torch.Tensor, scale: torch.Tensor, eps: float, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor
) -> None:
    """See :func:`thresher.engines.native.kernels.rotate.norm_rotate`."""
    tokens, heads, size = x.shape
    head_block, block = triton.next_power_of_2(heads), triton.next_power_of_2(size)
    if tokens:
        _norm_rotate[(tokens,)](
            x,
            scale,
            cos.contiguous(),
            sin.contiguous(),
            out,
            x.stride(0),
            x.stride(1),
            heads,
            size,
            cos.shape[-1],
            eps,
            HEADS=head_block,
            BLOCK=block,
            num_warps=warps(head_block * block),
        )


@triton.jit
def _norm_rotate(
    x, scale, cos, sin, out, stride, head_stride, heads, size, half, eps, HEADS: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    inner = tl.arange(0, BLOCK)[None, :]
    within = inner < size
    mask = (head < heads) & within
    partner = tl.where(inner < half, inner + half, tl.where(inner < 2 * half, inner - half, inner))
    at = x + row * stride + head * head_stride
    values = tl.load(at + inner, mask=mask, other=0.0).to(tl.float32)
    factor = tl.rsqrt(tl.sum(values * values, axis=1) / size + eps)[:, None]
    values = values * factor * tl.load(scale + inner, mask=within, other=0.0)
    turned = tl.load(at + partner, mask=mask, other=0.0).to(tl.float32)
    turned = turned * factor * tl.load(scale + partner, mask=within, other=0.0)
    rotated = inner < 2 * half
    angle = row * half + tl.where(inner < half, inner, inner - half)
    c = tl.load(cos + angle, mask=rotated, other=1.0)
    s = tl.load(sin + angle, mask=rotated, other=0.0)
    values = values * c + tl.where(inner < half, -turned, turned) * s
    tl.store(out + row * heads * size + head * size + inner, values.to(out.dtype.element_ty), mask=mask)
