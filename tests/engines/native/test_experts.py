"""Stacked experts: the same as one after the other in every precision, and expanded where they are stored small."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from benchmarks.native.compute_format import random_layers
from benchmarks.native.random_model import RandomSource, open_random
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import make_requests
from thresher.engines.native.kernels.grouped import Groups
from thresher.engines.native.layer_format import LayerFormat, expanded_bytes
from thresher.engines.native.layers.experts import Experts
from thresher.engines.native.linear import PRECISIONS, make_linear
from thresher.engines.native.linear.nvfp4_weights import Nvfp4Bf16Linear, Nvfp4Fp8Linear
from thresher.engines.native.linear.storage import StoredLinear

COUNTS = (3, 0, 5, 1)
CPU = torch.device("cpu")
CONFIG = SHAPES["tiny-moe"]


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stacked(weights: torch.Tensor, precision: str) -> Experts:
    made = [make_linear(weight, precision, "cpu").tensors() for weight in weights]
    empty = Experts.empty(len(weights), weights.shape[1], weights.shape[2], precision)
    tensors = {name: torch.stack([one[name] for one in made]) for name in empty.tensors()}
    assert {name: (t.shape, t.dtype) for name, t in tensors.items()} == {
        name: (t.shape, t.dtype) for name, t in empty.tensors().items()
    }
    return empty.with_tensors(tensors)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("width", [32, 20])
def test_each_row_is_multiplied_by_its_expert(precision: str, width: int) -> None:
    weights, rows = numbers(len(COUNTS), width, 48), numbers(sum(COUNTS), 48, seed=1)
    experts = stacked(weights, precision)
    groups = Groups(torch.tensor(COUNTS).cumsum(0).int(), len(rows))
    found = experts(experts.one.quantize_activation(rows), groups)
    start = 0
    for weight, count in zip(weights, COUNTS, strict=True):
        own = slice(start, start + count)
        if count:
            assert torch.equal(found[own], make_linear(weight, precision, "cpu")(rows[own]))
        start += count


@pytest.mark.parametrize(("precision", "multiplied_in"), [("nvfp4-bf16", "bf16"), ("nvfp4-fp8", "fp8")])
@pytest.mark.parametrize("width", [32, 20])
def test_expanded_experts_are_those_of_the_other_precision(precision: str, multiplied_in: str, width: int) -> None:
    weights, rows = numbers(3, width, 48), numbers(9, 48, seed=1)
    experts = stacked(weights, precision)
    prepared = experts.prepared()
    assert prepared.one.precision == multiplied_in
    layout = Experts.empty(3, width, 48, multiplied_in).tensors()
    assert {name: (t.shape, t.dtype) for name, t in prepared.tensors().items()} == {
        name: (t.shape, t.dtype) for name, t in layout.items()
    }
    groups = Groups(torch.tensor([2, 2, 9]).int(), 9)
    found = prepared(prepared.one.quantize_activation(rows), groups)
    assert torch.equal(found, experts(experts.one.quantize_activation(rows), groups))
    one = cast(StoredLinear, make_linear(weights[0], precision, "cpu")).prepared()
    for name, tensor in one.tensors().items():
        assert torch.equal(tensor.float(), prepared.tensors()[name][0].float())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp8", "int8", "nvfp4"])
def test_what_is_multiplied_as_it_is_stored_is_not_copied(precision: str) -> None:
    experts = stacked(numbers(2, 16, 32), precision)
    assert experts.prepared() is experts
    linear = make_linear(numbers(16, 32), precision, "cpu")
    assert linear.prepared() is linear


@pytest.mark.parametrize("kind", [Nvfp4Bf16Linear, Nvfp4Fp8Linear])
def test_4_bits_are_expanded_nearly_exactly(kind: type[StoredLinear]) -> None:
    weight = numbers(64, 128)
    stored = kind.from_weight(weight)
    rows = torch.eye(128)
    exact = Nvfp4Bf16Linear(stored.tensors(), in_features=128, out_features=64)(rows)
    found = stored(rows)
    assert float((found - exact).norm() / exact.norm()) < 0.025


@pytest.mark.parametrize("precision", ["int8", "fp8", "nvfp4"])
def test_picked_rows_take_their_factors_along(precision: str) -> None:
    linear = make_linear(numbers(16, 32), precision, "cpu")
    x = numbers(6, 32, seed=1)
    rows = torch.tensor([4, 0, 4])
    assert torch.equal(linear(linear.quantize_activation(x).picked(rows)), linear(x[rows]))


def test_memory_of_an_expanded_layer() -> None:
    assert expanded_bytes(CONFIG, "fp8") == 0
    prepared = LayerFormat(CONFIG, 0, "nvfp4-fp8")
    stored = sum(t.nbytes for experts in prepared.experts.values() for t in experts.tensors().values())
    assert expanded_bytes(CONFIG, "nvfp4-fp8") > 1.5 * stored


def test_a_document_alone_and_packed() -> None:
    """Random layers of the benchmarks, which are the same each time, and experts that get few rows or many."""
    requests = make_requests(10, [30, 40, 61], CONFIG.vocabulary_size)
    source = RandomSource(CONFIG, CPU)
    with random_layers(), open_random("tiny", source, "nvfp4-fp8", CPU, {"step_tokens": 256}) as engine:
        together = {scores.request_id: scores.answers for scores in engine.score(requests)}
        for request in requests:
            [alone] = engine.score([request])
            assert alone.answers[0].probabilities == pytest.approx(
                together[request.request_id][0].probabilities, abs=1e-2
            )
