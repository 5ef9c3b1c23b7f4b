"""Kernels of experts and of 4-bit weights against their plain references, in Triton's interpreter on a CPU."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("Triton is for Linux", allow_module_level=True)
pytest.importorskip("triton")
if torch.cuda.is_available():
    pytest.skip("benchmarks/native/checks.py compares the kernels on a GPU", allow_module_level=True)

from thresher.engines.native.kernels.combine import reference as combine_reference
from thresher.engines.native.kernels.combine import triton as combine_kernel
from thresher.engines.native.kernels.grouped import Groups
from thresher.engines.native.kernels.grouped import reference as grouped_reference
from thresher.engines.native.kernels.grouped import triton as grouped_kernel
from thresher.engines.native.kernels.lookup import triton as lookup_kernel
from thresher.engines.native.kernels.rows import Rows
from thresher.engines.native.linear import nvfp4, nvfp4_expand, nvfp4_kernels

TOLERANCE = {torch.float32: 1e-5, torch.float16: 4e-3}
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float16])


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory is NaN, so that what a kernel leaves unwritten shows."""
    real = torch.empty

    def empty(*size: Any, **options: Any) -> torch.Tensor:
        made = real(*size, **options)
        return made.view(torch.uint8).fill_(0x7F).view(made.dtype) if made.numel() else made

    monkeypatch.setattr(torch, "empty", empty)


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def groups_of(counts: list[int]) -> Groups:
    return Groups(torch.tensor(counts).cumsum(0).int(), sum(counts))


@dtypes
@pytest.mark.parametrize("counts", [[1], [3, 0, 17, 40, 0, 1], [0, 0, 16], [33, 31]])
@pytest.mark.parametrize(("width", "inner"), [(16, 16), (40, 80)])
def test_grouped_products(counts: list[int], width: int, inner: int, dtype: torch.dtype) -> None:
    x = Rows(numbers(sum(counts), inner, dtype=dtype))
    weight = numbers(len(counts), width, inner, dtype=dtype, seed=1)
    found = grouped_kernel.grouped_multiply(x, weight, None, groups_of(counts), dtype)
    expected = grouped_reference.grouped_multiply(x, weight, None, groups_of(counts), dtype)
    tolerance = TOLERANCE[dtype] * inner**0.5
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_grouped_products_with_factors() -> None:
    counts = [5, 0, 20]
    x = Rows(numbers(25, 32), numbers(25, 1, seed=2).abs())
    weight, factors = numbers(3, 24, 32, seed=1), numbers(3, 1, 24, seed=3).abs()
    found = grouped_kernel.grouped_multiply(x, weight, factors, groups_of(counts), torch.float32)
    expected = grouped_reference.grouped_multiply(x, weight, factors, groups_of(counts), torch.float32)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(1, 20))
def test_tiles_cover_every_row_once(counts: list[int], size: int) -> None:
    groups, of_tile, first_row = groups_of(counts), *groups_of(counts).tiles(size)
    covered = []
    for group, first in zip(of_tile.tolist(), first_row.tolist(), strict=True):
        if group < len(counts):
            covered += [(group, row) for row in range(first, min(first + size, groups.on_host[group]))]
    assert covered == [(group, row) for group, row in enumerate_rows(counts)]


def enumerate_rows(counts: list[int]) -> list[tuple[int, int]]:
    groups = [group for group, count in enumerate(counts) for _ in range(count)]
    return [(group, row) for row, group in enumerate(groups)]


@dtypes
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("tokens", "slots", "width"), [(1, 1, 16), (7, 3, 40), (3, 10, 2500)])
def test_combining(tokens: int, slots: int, width: int, shared: bool, dtype: torch.dtype) -> None:
    found = numbers(tokens * slots, width, dtype=dtype)
    places = torch.randperm(tokens * slots, generator=torch.Generator().manual_seed(1)).view(tokens, slots)
    weights = numbers(tokens, slots, seed=2).softmax(-1)
    other = numbers(tokens, width, dtype=dtype, seed=3) if shared else None
    gate = numbers(tokens, 1, dtype=dtype, seed=4) if shared else None
    sums, expected = (numbers(tokens, width, dtype=dtype, seed=5) for _ in range(2))
    combine_kernel.combine(found, places, weights, other, gate, sums)
    combine_reference.combine(found, places, weights, other, gate, expected)
    torch.testing.assert_close(sums, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_lookup() -> None:
    table, rows = numbers(9, 33), torch.tensor([3, 0, 8, 3])
    assert torch.equal(lookup_kernel.lookup(table, rows, torch.device("cpu")), table[rows])


@dtypes
@pytest.mark.parametrize(("rows", "inner"), [(1, 16), (5, 48), (3, 1040)])
def test_expanding_4_bits(rows: int, inner: int, dtype: torch.dtype) -> None:
    packed, blocks, factors = quantized(rows, inner)
    found = nvfp4_kernels.expand(packed, blocks, factors, dtype)
    assert torch.equal(found, nvfp4_expand.expand_reference(packed, blocks, factors, dtype))


@pytest.mark.parametrize(("rows", "inner"), [(1, 16), (5, 48), (3, 1040)])
def test_expanding_4_bits_to_8(rows: int, inner: int) -> None:
    """With block factors that are powers of two no number needs rounding, which the interpreter does not do rightly."""
    packed, blocks, factors = quantized(rows, inner)
    blocks = blocks.float().log2().round().exp2().clamp(max=256.0).to(torch.float8_e4m3fn)
    values = nvfp4_kernels.expand_fp8(packed, blocks, 8.0)
    expected, divisors = nvfp4_expand.expand_fp8_reference(packed, blocks, factors)
    assert torch.equal(values.float(), expected.float())
    exact = nvfp4_expand.expand_reference(packed, blocks, factors, torch.float32)
    torch.testing.assert_close(expected.float() * divisors[:, None], exact, rtol=1e-6, atol=0)


def test_every_4_bit_number_in_every_block_factor_fits_8_bits() -> None:
    """Rounded by a sixteenth at most, down to where E4M3's numbers end; a factor may be any number but NaN."""
    blocks = torch.arange(0x7F, dtype=torch.uint8).view(torch.float8_e4m3fn)[:, None]
    packed = torch.tensor([0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE], dtype=torch.uint8).expand(0x7F, 8)
    values, factors = nvfp4_expand.expand_fp8_reference(packed, blocks, torch.ones(0x7F))
    exact = nvfp4_expand.expand_reference(packed, blocks, torch.ones(0x7F), torch.float32)
    assert exact[-1].tolist()[:8] == [0, 224, 448, 672, 896, 1344, 1792, 2688]
    torch.testing.assert_close(values.float() * factors[:, None], exact, rtol=1 / 16, atol=2**-7)


def quantized(rows: int, inner: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x = numbers(rows, inner) * torch.logspace(-2, 2, rows)[:, None]
    factors = x.abs().amax(dim=1, keepdim=True) / 2688
    packed, blocks = nvfp4.quantize(x, factors)
    return packed, blocks, factors.flatten()
