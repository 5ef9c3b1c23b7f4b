"""Adding what experts found, one program per token and stretch of columns: each row is read once."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_COLUMNS = 2048


def combine(
    found: torch.Tensor,
    places: torch.Tensor,
    weights: torch.Tensor,
    shared: torch.Tensor | None,
    shared_gate: torch.Tensor | None,
    total: torch.Tensor,
) -> None:
    """See :func:`thresher.engines.native.kernels.combine.combine`."""
    tokens, width = len(places), found.shape[1]
    block = min(_COLUMNS, triton.next_power_of_2(width))
    if tokens:
        _combine[(tokens, triton.cdiv(width, block))](
            found,
            places,
            weights,
            found if shared is None else shared,
            found if shared_gate is None else shared_gate,
            total,
            total.stride(0),
            width,
            SLOTS=places.shape[1],
            SHARED=shared is not None,
            COLUMNS=block,
            num_warps=4,
        )


@triton.jit
def _combine(
    found,
    places,
    weights,
    shared,
    shared_gate,
    total,
    stride,
    width,
    SLOTS: tl.constexpr,
    SHARED: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = column < width
    added = tl.zeros((COLUMNS,), dtype=tl.float32)
    for slot in tl.static_range(SLOTS):
        row = tl.load(places + token * SLOTS + slot)
        weight = tl.load(weights + token * SLOTS + slot)
        added += weight * tl.load(found + row * width + column, mask=mask, other=0.0).to(tl.float32)
    if SHARED:
        gate = tl.sigmoid(tl.load(shared_gate + token).to(tl.float32))
        added += gate * tl.load(shared + token * width + column, mask=mask, other=0.0).to(tl.float32)
    at = total + token * stride + column
    added += tl.load(at, mask=mask, other=0.0).to(tl.float32)
    tl.store(at, added.to(total.dtype.element_ty), mask=mask)
