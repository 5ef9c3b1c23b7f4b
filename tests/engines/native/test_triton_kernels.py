"""Every Triton kernel against its plain reference, in Triton's interpreter on a CPU.

The interpreter is right in float32 and float16 only, and rounds to E4M3 without carrying into the exponent; so values
are compared in those dtypes, and rounding on numbers that E4M3 has. What else there is to rounding is checked on a GPU
(benchmarks/native_prefill.py).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("Triton is for Linux", allow_module_level=True)
pytest.importorskip("triton")

EPS = 1e-6
TOLERANCE = {torch.float32: 1e-6, torch.float16: 2e-3}
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float16])


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh memory is NaN, so that what a kernel leaves unwritten shows."""
    real = torch.empty

    def empty(*size: Any, **options: Any) -> torch.Tensor:
        made = real(*size, **options)
        return made.view(torch.uint8).fill_(0x7F).view(made.dtype) if made.numel() else made

    monkeypatch.setattr(torch, "empty", empty)


def both(operation: str) -> tuple[ModuleType, ModuleType]:
    if torch.cuda.is_available():
        pytest.skip("benchmarks/native_prefill.py compares the kernels on a GPU, in the dtypes that matter there")
    names = [f"thresher.engines.native.kernels.{operation}.{kind}" for kind in ("triton", "reference")]
    return importlib.import_module(names[0]), importlib.import_module(names[1])


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    tolerance = TOLERANCE[found.dtype]
    torch.testing.assert_close(found.float(), expected.float(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("tokens", "heads", "size"), [(1, 1, 16), (5, 3, 16), (3, 7, 130)])
def test_rounding_numbers_that_e4m3_has(tokens: int, heads: int, size: int) -> None:
    kernel, reference = both("gate")
    exact = torch.randint(0, 0x7F, (tokens, heads, size), dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    exact[:, 0, 0] = 448.0
    signs = torch.where(numbers(tokens, heads, size) > 0, 1.0, -1.0)
    x = exact * signs * 2.0 ** torch.arange(-3, tokens - 3)[:, None, None]
    open_gate = torch.full_like(x, 100.0)
    found, expected = (module.sigmoid_gate(x, open_gate, quantize=True) for module in (kernel, reference))
    assert torch.equal(found.values.float(), expected.values.float())
    assert torch.equal(found.factors, expected.factors)


def test_rounding_rows_of_zeros() -> None:
    kernel, reference = both("gate")
    x = torch.zeros(2, 2, 16)
    found, expected = (module.sigmoid_gate(x, x, quantize=True) for module in (kernel, reference))
    assert torch.equal(found.values.float(), torch.zeros(2, 32))
    assert torch.equal(found.factors, expected.factors)


@dtypes
@pytest.mark.parametrize(("tokens", "width"), [(1, 16), (5, 48), (2, 1025), (8, 5), (9, 40), (19, 1)])
def test_norm(tokens: int, width: int, dtype: torch.dtype) -> None:
    kernel, reference = both("norm")
    x, scale = numbers(tokens, width, dtype=dtype), 1 + numbers(width, seed=1)
    found = kernel.norm(x, scale, EPS, plain=True, quantize=True)
    expected = reference.norm(x, scale, EPS, plain=True, quantize=True)
    close(found.plain, expected.plain)
    close(found.rows.factors, _factors(expected.plain, found.rows.factors, dtype))


@given(st.integers(1, 20), st.integers(1, 70), st.booleans(), st.booleans())
@settings(max_examples=10)
def test_norm_of_any_size(tokens: int, width: int, plain: bool, quantize: bool) -> None:
    """The interpreter has eight programs: fewer rows, as many, and more."""
    kernel, reference = both("norm")
    x, scale = numbers(tokens, 2 * width)[:, :width], 1 + numbers(width, seed=1)
    found = kernel.norm(x, scale, EPS, plain=plain, quantize=quantize)
    expected = reference.norm(x, scale, EPS, plain=True, quantize=True)
    if plain:
        close(found.plain, expected.plain)
    if quantize:
        close(found.rows.factors, expected.rows.factors)


def test_long_rows_of_a_norm_are_not_sent_ahead() -> None:
    kernel, _ = both("norm")
    assert [kernel.stages(width, 2) for width in (5120, 8192, 16_384)] == [3, 3, 1]


@dtypes
def test_norm_makes_only_what_is_asked_for(dtype: torch.dtype) -> None:
    kernel, _ = both("norm")
    x, scale = numbers(3, 48, dtype=dtype), numbers(48)
    assert kernel.norm(x, scale, EPS, plain=True, quantize=False).rows is None
    assert kernel.norm(x, scale, EPS, plain=False, quantize=True).plain is None


@dtypes
@pytest.mark.parametrize(("tokens", "width"), [(1, 16), (5, 40), (2, 1030), (3, 48), (2, 1)])
def test_swiglu(tokens: int, width: int, dtype: torch.dtype) -> None:
    kernel, reference = both("swiglu")
    gate_up = numbers(tokens, 2 * width, dtype=dtype)
    expected = reference.swiglu(gate_up.float(), quantize=False).values.to(dtype)
    close(kernel.swiglu(gate_up, quantize=False).values, expected)
    found = kernel.swiglu(gate_up, quantize=True)
    close(found.factors, _factors(expected, found.factors, dtype))


@dtypes
@pytest.mark.parametrize(("tokens", "heads", "size"), [(1, 6, 20), (5, 4, 16), (3, 1, 33), (2, 48, 128), (2, 20, 120)])
def test_gated_norm(tokens: int, heads: int, size: int, dtype: torch.dtype) -> None:
    kernel, reference = both("gated_norm")
    x, gate = numbers(tokens, heads, size, dtype=dtype), numbers(tokens, heads * size, dtype=dtype, seed=1)
    scale = numbers(size, seed=2)
    expected = reference.gated_norm(x, gate, scale, EPS, quantize=False).values
    close(kernel.gated_norm(x, gate, scale, EPS, quantize=False).values, expected)
    found = kernel.gated_norm(x, gate, scale, EPS, quantize=True)
    close(found.factors, _factors(expected, found.factors, dtype))


@dtypes
@pytest.mark.parametrize(
    ("tokens", "heads", "size"), [(1, 3, 24), (5, 4, 16), (2, 24, 256), (2, 11, 250), (1, 1, 2050)]
)
def test_sigmoid_gate(tokens: int, heads: int, size: int, dtype: torch.dtype) -> None:
    kernel, reference = both("gate")
    x, projected = numbers(tokens, heads, size, dtype=dtype), numbers(tokens, heads, 2 * size, dtype=dtype, seed=1)
    gate = projected[..., size:]
    expected = reference.sigmoid_gate(x, gate, quantize=False).values
    close(kernel.sigmoid_gate(x, gate, quantize=False).values, expected)
    found = kernel.sigmoid_gate(x, gate, quantize=True)
    close(found.factors, _factors(expected, found.factors, dtype))


@dtypes
@pytest.mark.parametrize(("tokens", "heads", "size", "half"), [(1, 3, 24, 4), (5, 4, 16, 8), (4, 1, 32, 1)])
def test_norm_rotate(tokens: int, heads: int, size: int, half: int, dtype: torch.dtype) -> None:
    kernel, reference = both("rotate")
    x = numbers(tokens, heads, 2 * size, dtype=dtype)[..., :size]
    scale, angles = numbers(size, seed=1), 3 * numbers(tokens, 1, half, seed=2)
    found, expected = (torch.full((tokens, heads, size), torch.nan, dtype=dtype) for _ in range(2))
    kernel.norm_rotate(x, scale, EPS, angles.cos(), angles.sin(), found)
    reference.norm_rotate(x, scale, EPS, angles.cos(), angles.sin(), expected)
    close(found, expected)


#: Heads of keys, their size, channels of values. The first slides from 64 rows on; the others, of sizes that do not
#: fill four heads or blocks, are made in tiles.
CONV_SIZES = [(4, 16, 64), (2, 16, 120), (1, 20, 33), (1, 16, 48)]


#: The starts of sequences at the edges of blocks and within, and the last block moved up by nearly all of it.
CONV_LENGTHS = [(1,), (2, 1, 3, 40), (33, 31, 5, 1, 1, 64)]


@dtypes
@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        *((lengths, sizes) for lengths in CONV_LENGTHS for sizes in CONV_SIZES),
        *((lengths, CONV_SIZES[0]) for lengths in [(65,), (3, 62, 1), (2, 65)]),
    ],
)
def test_conv(lengths: tuple[int, ...], sizes: tuple[int, int, int], dtype: torch.dtype) -> None:
    check_conv(lengths, sizes, 4, dtype)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_conv_by_any_number_of_taps(width: int) -> None:
    check_conv((1, 5, 40), CONV_SIZES[0], width, torch.float32)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=3), st.sampled_from(CONV_SIZES))
@settings(max_examples=4)
def test_conv_of_any_lengths(lengths: list[int], sizes: tuple[int, int, int]) -> None:
    check_conv(lengths, sizes, 4, torch.float32)


@pytest.mark.parametrize(("tokens", "sizes", "slides"), [(63, CONV_SIZES[0], False), (64, CONV_SIZES[0], True),
                                                        *((64, sizes, False) for sizes in CONV_SIZES[1:])])  # fmt: skip
def test_conv_slides_where_blocks_are_full(
    tokens: int, sizes: tuple[int, int, int], slides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, _ = both("conv")
    other = "_by_tiles" if slides else "_by_sliding"
    monkeypatch.delattr(kernel, other)
    check_conv((tokens,), sizes, 4, torch.float32)


def check_conv(lengths: Sequence[int], sizes: tuple[int, int, int], width: int, dtype: torch.dtype) -> None:
    kernel, reference = both("conv")
    key_heads, key_dim, values = sizes
    channels = 2 * key_heads * key_dim + values
    x, taps = numbers(sum(lengths), channels, dtype=dtype), numbers(channels, width, seed=1)
    before = numbers(len(lengths), width - 1, channels, dtype=dtype, seed=2)
    found = kernel.causal_conv(x, taps.to(dtype).float(), before, lengths, key_heads=key_heads, key_dim=key_dim)
    expected = reference.causal_conv(x, taps, before, lengths, key_heads=key_heads, key_dim=key_dim)
    close(found.queries, expected.queries)
    close(found.keys, expected.keys)
    torch.testing.assert_close(found.values, expected.values, rtol=TOLERANCE[dtype], atol=4 * TOLERANCE[dtype])
    assert torch.equal(found.tails, expected.tails)


@dtypes
@pytest.mark.parametrize(("tokens", "heads"), [(1, 1), (33, 6), (70, 48)])
def test_delta_gates(tokens: int, heads: int, dtype: torch.dtype) -> None:
    kernel, reference = both("delta_gates")
    ab = 20 * numbers(tokens, 2 * heads, dtype=dtype)
    vectors = numbers(heads, seed=1), 3 * numbers(heads, seed=2)
    for found, expected in zip(kernel.delta_gates(ab, *vectors), reference.delta_gates(ab, *vectors), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def _factors(rows: torch.Tensor, found: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What the factors of ``rows`` must be; ``rows`` were rounded to ``dtype``, the kernel's were not."""
    expected = rows.float().abs().amax(1, keepdim=True) / 448
    if dtype == torch.float16:
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)
        return found
    return expected
