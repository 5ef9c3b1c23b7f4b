"""Small tensors to the device that computes and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thresher.engines.native.transfer import to_device, to_host

DEVICES = [torch.device(name) for name in (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])]


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("values", [np.arange(6), np.empty(0, np.int64), np.arange(12.0)[::2]], ids=len)
def test_there_and_back(values: np.ndarray, device: torch.device) -> None:
    on_device = to_device(values, device)
    assert on_device.device.type == device.type
    waited = to_host(on_device * 2)
    assert np.array_equal(waited(), values * 2)
