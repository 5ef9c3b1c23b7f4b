"""Grouped products in one launch: a program multiplies a tile of one group's rows by a tile of its matrix's rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from thresher.engines.native.kernels.grouped.groups import Groups
from thresher.engines.native.kernels.rows import Rows

#: Compute capabilities of cards with more than 160 KB of shared memory: A100, Hopper, and Blackwell for servers.
_LARGE_SHARED_MEMORY = frozenset({(8, 0), (9, 0), (10, 0), (10, 3)})


@dataclass(frozen=True, slots=True)
class _Tiles:
    rows: int
    columns: int
    inner_bytes: int
    stages: int
    warps: int


#: For cards with much shared memory, and for those of consumers, which have 100 KB.
_LARGE = _Tiles(rows=128, columns=256, inner_bytes=128, stages=4, warps=8)
_SMALL = _Tiles(rows=128, columns=128, inner_bytes=64, stages=4, warps=8)


def grouped_multiply(
    x: Rows, weight: torch.Tensor, factors: torch.Tensor | None, groups: Groups, dtype: torch.dtype
) -> torch.Tensor:
    """See :func:`thresher.engines.native.kernels.grouped.grouped_multiply`."""
    matrices, width, inner = weight.shape
    out = torch.empty(len(x.values), width, dtype=dtype, device=weight.device)
    sizes = _tiles(weight.device)
    of_tile, first_row = groups.tiles(sizes.rows)
    scaled = x.factors is not None and factors is not None
    _multiply[(len(of_tile) * triton.cdiv(width, sizes.columns),)](
        x.values,
        weight,
        out,
        x.factors if scaled else out,
        factors if scaled else out,
        of_tile,
        first_row,
        groups.ends,
        matrices,
        width,
        inner,
        SCALED=scaled,
        ROWS=sizes.rows,
        COLUMNS=sizes.columns,
        INNER=max(16, sizes.inner_bytes // weight.element_size()),
        num_stages=sizes.stages,
        num_warps=sizes.warps,
    )
    return out


def _tiles(device: torch.device) -> _Tiles:
    if device.type != "cuda":
        return _Tiles(rows=16, columns=16, inner_bytes=64, stages=1, warps=4)
    return _LARGE if torch.cuda.get_device_capability(device) in _LARGE_SHARED_MEMORY else _SMALL


@triton.jit
def _multiply(
    x,
    weight,
    out,
    row_factors,
    column_factors,
    of_tile,
    first_row,
    ends,
    matrices,
    width,
    inner,
    SCALED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    INNER: tl.constexpr,
):
    across = tl.cdiv(width, COLUMNS)
    tile = tl.program_id(0) // across
    group = tl.load(of_tile + tile)
    if group < matrices:
        row = tl.load(first_row + tile) + tl.arange(0, ROWS)
        column = (tl.program_id(0) % across) * COLUMNS + tl.arange(0, COLUMNS)
        own = row < tl.load(ends + group)
        known = column < width
        step = tl.arange(0, INNER)
        x_at = x + row.to(tl.int64)[:, None] * inner + step[None, :]
        weight_at = weight + (group.to(tl.int64) * width + column)[None, :] * inner + step[:, None]
        sums = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
        for start in range(0, inner, INNER):
            left = inner - start
            part = tl.load(x_at, mask=own[:, None] & (step[None, :] < left), other=0.0)
            matrix = tl.load(weight_at, mask=known[None, :] & (step[:, None] < left), other=0.0)
            sums = tl.dot(part, matrix, sums, input_precision="ieee")
            x_at += INNER
            weight_at += INNER
        if SCALED:
            sums *= tl.load(row_factors + row, mask=own, other=0.0)[:, None]
            sums *= tl.load(column_factors + group * width + column, mask=known, other=0.0)[None, :]
        place = out + row.to(tl.int64)[:, None] * width + column[None, :]
        tl.store(place, sums.to(out.dtype.element_ty), mask=own[:, None] & known[None, :])
