"""Small tensors to the device that computes and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thresher.engines.native.kernels.delta_rule import flashinfer
from thresher.engines.native.linear import cublaslt, make_linear
from thresher.engines.native.transfer import to_device, to_host

DEVICES = [torch.device(name) for name in (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])]


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("values", [np.arange(6), np.empty(0, np.int64), np.arange(12.0)[::2]], ids=len)
def test_there_and_back(values: np.ndarray, device: torch.device) -> None:
    on_device = to_device(values, device)
    assert on_device.device.type == device.type
    waited = to_host(on_device * 2)
    assert np.array_equal(waited(), values * 2)


def test_libraries_for_a_gpu_are_not_taken_on_a_cpu() -> None:
    x, weight = (torch.ones(4096, 4096, dtype=torch.bfloat16) for _ in range(2))
    assert not cublaslt.can_run(x, weight)
    assert flashinfer.takes(128, 128)
    assert not flashinfer.takes(128, 64)


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp8", "int8"])
def test_a_product_is_what_the_layer_gives(precision: str, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    linear = make_linear(torch.randn(64, 32, generator=generator), precision, device)
    x = torch.randn(100, 32, generator=generator).to(torch.bfloat16).to(device)
    product = linear.product(x)
    values = product.values.float() if product.factors is None else product.values.float() * product.factors
    assert float((values - linear(x).float()).norm() / values.norm()) < 0.01
