"""Every precision against float32 and against its own plain reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.engines.native.linear import PRECISIONS, Linear, empty_linear, make_linear, nvfp4, rows
from thresher.engines.native.linear.storage import StoredLinear

#: Relative error of a product of normally distributed weights and activations: what each precision promises.
LARGEST_ERROR = {
    "fp32": 1e-6,
    "bf16": 0.004,
    "int8": 0.014,
    "fp8": 0.039,
    "nvfp4": 0.14,
    "nvfp4-bf16": 0.10,
    "nvfp4-fp8": 0.11,
}
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.float() - expected.float()).norm() / expected.float().norm())


def numbers(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def made(weight: torch.Tensor, precision: str, device: str) -> StoredLinear:
    linear = make_linear(weight, precision, device)
    assert isinstance(linear, StoredLinear)
    return linear


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_error_is_what_is_promised(precision: str, device: str) -> None:
    weight, x = 0.02 * numbers(192, 512), numbers(64, 512, seed=1)
    linear = made(weight, precision, device)
    found = linear(x.to(device)).cpu()
    error = relative(found, x @ weight.t())
    assert error < LARGEST_ERROR[precision]
    assert error > LARGEST_ERROR[precision] / 4 or precision == "fp32"  # else it is computed in another precision
    assert found.dtype == torch.float32
    assert linear(x.to(device, torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("precision", ["fp8", "int8"])
def test_small_rows_lose_nothing_beside_large_ones(precision: str) -> None:
    weight, x = torch.logspace(-9, 0, 192)[:, None] * numbers(192, 512), numbers(256, 512, seed=1)
    found, expected = make_linear(weight, precision, "cpu")(x), x @ weight.t()
    errors = (found - expected).norm(dim=0) / expected.norm(dim=0)
    assert float(errors.max()) < 1.2 * LARGEST_ERROR[precision]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_fast_path_is_the_reference(precision: str, device: str) -> None:
    linear = made(0.02 * numbers(192, 512), precision, device)
    x = linear.quantize_activation(numbers(33, 512, seed=1).to(device))
    assert relative(linear.multiply(x), linear.reference(x)) < (1e-5 if precision in {"fp32", "int8"} else 0.004)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_is_added_to_a_part_of_a_larger_stream(precision: str, dtype: torch.dtype, device: str) -> None:
    linear = made(0.02 * numbers(192, 512), precision, device)
    x, stream = numbers(33, 512, seed=1).to(device, dtype), numbers(40, 192, seed=2).to(device, dtype)
    expected = stream.float()
    expected[4:37] += linear.reference(linear.quantize_activation(x)).float()
    linear.add_to(stream[4:37], x)
    assert relative(stream, expected) < (1e-5 if dtype == torch.float32 and precision in {"fp32", "int8"} else 0.004)
    quantized = linear.quantize_activation(x)
    linear.add_to(stream[:33], quantized)  # made before, for several layers
    assert torch.isfinite(stream).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("features", [192, 100])
def test_a_product_written_into_rows_of_a_memory(
    precision: str, device: str, dtype: torch.dtype, features: int
) -> None:
    linear = make_linear(0.02 * numbers(features, 512), precision, device)
    x = numbers(33, 512, seed=1).to(device, dtype)
    memory = torch.zeros(50, features, dtype=dtype, device=device)
    linear.into(memory[7:40], x)
    assert relative(memory[7:40], linear(x)) < (1e-6 if dtype == torch.float32 else 0.004)
    assert not memory[:7].any()
    assert not memory[40:].any()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(48, 64), (1, 16), (4, 256), (170, 96)])
@pytest.mark.parametrize("tokens", [1, 5, 40])
def test_any_number_of_outputs_and_tokens(precision: str, shape: tuple[int, int], tokens: int, device: str) -> None:
    weight, x = numbers(*shape), numbers(tokens, shape[1], seed=2)
    linear = make_linear(weight, precision, device)
    assert (linear.out_features, linear.in_features, linear.precision) == (*shape, precision)
    found = linear(x.to(device))
    assert found.shape == (tokens, shape[0])
    assert found.is_contiguous()
    # A product of few numbers may cancel, so the error is measured against what is summed.
    assert (
        float((found.cpu() - x @ weight.t()).norm() / (x.norm(dim=1, keepdim=True) * weight.norm(dim=1)).norm()) < 0.2
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_token_does_not_depend_on_its_neighbours(precision: str) -> None:
    linear = make_linear(numbers(64, 128), precision, "cpu")
    x = numbers(40, 128, seed=3)
    x[7] *= 1000
    alone, together = linear(x[3:4]), linear(x)[3:4]
    assert relative(alone, together) < (1e-6 if precision not in {"bf16", "nvfp4-bf16"} else 0.01)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_storage_moves_and_comes_back(precision: str) -> None:
    linear = make_linear(numbers(50, 64), precision, "cpu")
    x = numbers(20, 64, seed=4)
    stored = linear.tensors()
    assert sum(tensor.nbytes for tensor in stored.values()) == linear.weight_bytes
    assert all(tensor.is_contiguous() for tensor in stored.values())
    block = torch.cat([tensor.view(torch.uint8).flatten() for tensor in stored.values()])
    views, start = {}, 0
    for name, tensor in stored.items():
        part = block[start : start + tensor.nbytes].clone()
        views[name] = part.view(tensor.dtype).view(tensor.shape)
        start += tensor.nbytes
    template = empty_linear(50, 64, precision, "meta")
    assert template.weight_bytes == linear.weight_bytes
    again: Linear = template.with_tensors(views)
    assert torch.equal(again(x), linear(x))
    assert torch.equal(linear.to("cpu")(x), linear(x))
    with pytest.raises(ValueError, match=f"a {precision} layer of this size is stored as"):
        empty_linear(50, 128, precision, "meta").with_tensors(views)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_random_storage_multiplies_to_finite_numbers(precision: str, device: str) -> None:
    found = empty_linear(256, 512, precision, device)(numbers(64, 512).to(device))
    assert bool(found.isfinite().all())
    assert 0.1 < float(found.std()) < 10


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_input_is_left_alone_and_may_be_quantized_before(precision: str) -> None:
    linear = make_linear(numbers(32, 64), precision, "cpu")
    x = numbers(20, 64, seed=5)
    kept = x.clone()
    assert torch.equal(linear(linear.quantize_activation(x)), linear(x))
    assert torch.equal(x, kept)
    other = make_linear(numbers(32, 64), "int8" if precision == "fp8" else "fp8", "cpu")
    if precision not in {"int8", "fp8"}:
        with pytest.raises(ValueError, match="quantized for fp8 cannot be multiplied in"):
            linear(other.quantize_activation(x))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_of_zeros_and_of_what_is_no_number(precision: str) -> None:
    linear = make_linear(torch.cat([torch.zeros(16, 32), numbers(16, 32)]), precision, "cpu")
    x = torch.stack([torch.zeros(32), torch.ones(32), torch.full((32,), float("nan"))])
    found = linear(x)
    assert torch.equal(found[0], torch.zeros(32))
    assert torch.equal(found[1, :16], torch.zeros(16))
    assert bool(found[:2].isfinite().all())


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name not in {"fp32", "bf16"}])
def test_widths_that_no_block_divides_are_refused(precision: str) -> None:
    with pytest.raises(ValueError, match="multiples of 16, and this weight has 40; use bf16"):
        make_linear(numbers(16, 40), precision, "cpu")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="no precision 'fp4', only fp32"):
        make_linear(numbers(16, 16), "fp4", "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="Triton's kernels need a CUDA device")
@pytest.mark.parametrize("shape", [(1, 16), (33, 48), (999, 17408)])
@pytest.mark.parametrize("source", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_kernels_are_the_plain_arithmetic(shape: tuple[int, int], source: torch.dtype, dtype: torch.dtype) -> None:
    x = numbers(shape[0], shape[1] + 16).to("cuda", source)[:, : shape[1]]
    x[0] = 0
    largest = 127.0 if dtype == torch.int8 else 448.0
    values, factors = rows.quantize_rows(x, largest, dtype)
    plain_values, plain_factors = rows.quantize_rows_reference(x, largest, dtype)
    assert torch.equal(factors, plain_factors)
    assert torch.equal(values.view(torch.uint8), plain_values.view(torch.uint8))
    sums = torch.randint(-(9**6), 9**6, (shape[0], 64), device="cuda", dtype=torch.int32)
    columns = torch.rand(1, 64, device="cuda")
    found, plain = (torch.empty(shape[0], 60, device="cuda", dtype=source) for _ in range(2))
    rows.scale_sums(sums, factors, columns, found)
    rows.scale_sums_reference(sums, factors, columns, plain)
    assert torch.equal(found, plain)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["fp8", "int8"])
def test_what_is_no_number_is_not_lost(precision: str, device: str) -> None:
    x = numbers(20, 64).to(device)
    x[3, 5] = float("nan")
    found = make_linear(numbers(32, 64), precision, device)(x)
    assert bool(found[3].isnan().all())
    assert bool(torch.cat([found[:3], found[4:]]).isfinite().all())


@given(st.lists(st.floats(-6, 6, width=32), min_size=16, max_size=16))
@settings(max_examples=300)
def test_nvfp4_takes_the_nearest_number(values: list[float]) -> None:
    """With the block's largest value at 6, its factors are 1 and the numbers are E2M1's own."""
    x = torch.tensor([[6.0, *values[1:]]])
    one = torch.ones(1, 1)
    found = nvfp4.dequantize(*nvfp4.quantize(x, one), one)
    table = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
    table = torch.cat([table, -table])
    distances = (x.unsqueeze(-1) - table).abs()
    assert torch.equal((x - found).abs(), distances.amin(-1))


def test_nvfp4_ties_go_to_the_even_number() -> None:
    x = torch.tensor([[6.0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, -0.25, -0.75, -1.25, -1.75, -2.5, -3.5, -5.0, 0.0]])
    one = torch.ones(1, 1)
    found = nvfp4.dequantize(*nvfp4.quantize(x, one), one)[0]
    evens = [0.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0]
    assert found.tolist() == [6.0, *evens, *(-number for number in evens), 0.0]


@given(rows=st.integers(1, 300), columns=st.integers(1, 9))
@settings(max_examples=30)
def test_block_factors_lie_where_the_tensor_cores_look(rows: int, columns: int) -> None:
    blocks = torch.arange(rows * columns).remainder(120).to(torch.uint8).view(rows, columns)
    flat = nvfp4.tiled(blocks.view(torch.float8_e4m3fn)).view(torch.uint8)
    tiles_across = -(-columns // 4)
    assert flat.numel() == -(-rows // 128) * tiles_across * 512
    for row in range(0, rows, 37):
        for column in range(columns):
            tile = (row // 128) * tiles_across + column // 4
            assert flat[tile * 512 + row % 32 * 16 + row % 128 // 32 * 4 + column % 4] == blocks[row, column]
