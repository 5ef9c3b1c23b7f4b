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
) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.combine.combine`."""
    tokens, width = len(places), found.shape[1]
    out = torch.empty(tokens, width, dtype=found.dtype, device=found.device)
    block = min(_COLUMNS, triton.next_power_of_2(width))
    if tokens:
        _combine[(tokens, triton.cdiv(width, block))](
            found,
            places,
            weights,
            out if shared is None else shared,
            out if shared_gate is None else shared_gate,
            out,
            width,
            SLOTS=places.shape[1],
            SHARED=shared is not None,
            COLUMNS=block,
            num_warps=4,
        )
    return out


@triton.jit
def _combine(
    found,
    places,
    weights,
    shared,
    shared_gate,
    out,
    width,
    SLOTS: tl.constexpr,
    SHARED: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = column < width
    total = tl.zeros((COLUMNS,), dtype=tl.float32)
    for slot in tl.static_range(SLOTS):
        row = tl.load(places + token * SLOTS + slot)
        weight = tl.load(weights + token * SLOTS + slot)
        total += weight * tl.load(found + row * width + column, mask=mask, other=0.0).to(tl.float32)
    if SHARED:
        gate = tl.sigmoid(tl.load(shared_gate + token).to(tl.float32))
        total += gate * tl.load(shared + token * width + column, mask=mask, other=0.0).to(tl.float32)
    tl.store(out + token * width + column, total.to(out.dtype.element_ty), mask=mask)
