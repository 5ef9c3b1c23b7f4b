"""Every ggml type against the ``gguf`` package's own arithmetic, bit for bit."""

from __future__ import annotations

import gguf
import numpy as np
import numpy.typing as npt
import pytest
import torch

from thresher.engines.native.weights import dequantize as module
from thresher.engines.native.weights.dequantize import DEQUANTIZERS, dequantize
from thresher.models.ggml_types import TENSOR_TYPES

_BLOCKS = 300
_KINDS = {kind.name: kind for kind in TENSOR_TYPES.values()}


def random_blocks(type_name: str) -> npt.NDArray[np.uint8]:
    """[blocks, bytes] of any bits whose floats are finite."""
    random = np.random.default_rng(3)
    kind = _KINDS[type_name]
    while True:
        blocks = random.integers(0, 256, size=(4 * _BLOCKS, kind.block_bytes), dtype=np.uint8)
        with np.errstate(all="ignore"):
            values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[type_name]).reshape(len(blocks), -1)
        finite = blocks[np.isfinite(values).all(axis=1)]
        if len(finite) >= _BLOCKS:
            return np.ascontiguousarray(finite[:_BLOCKS], dtype=np.uint8)


@pytest.mark.parametrize("type_name", DEQUANTIZERS)
def test_it_is_ggmls_arithmetic(type_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_VALUES", 32 * _KINDS[type_name].block_elements)  # more than one chunk
    blocks = random_blocks(type_name)
    expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[type_name]).reshape(-1)
    raw = torch.from_numpy(blocks.copy()).view(-1)
    found = dequantize(raw, type_name, torch.float32)
    assert np.array_equal(found.numpy(), expected.astype(np.float32))
    assert torch.equal(dequantize(raw, type_name, torch.bfloat16), found.to(torch.bfloat16))
    assert dequantize(raw[:0], type_name, torch.float32).shape == (0,)


@pytest.mark.parametrize("type_name", ["Q8_0", "Q5_0", "Q4_1"])
def test_quantized_numbers_come_back_nearly(type_name: str) -> None:
    kind = gguf.GGMLQuantizationType[type_name]
    values = np.random.default_rng(5).standard_normal((16, 64), dtype=np.float32)
    raw = torch.from_numpy(np.ascontiguousarray(gguf.quants.quantize(values, kind)).view(np.uint8)).view(-1)
    found = dequantize(raw, type_name, torch.float32).numpy()
    error = np.linalg.norm(found - values.reshape(-1)) / np.linalg.norm(values)
    assert error < {"Q8_0": 0.01, "Q5_0": 0.06, "Q4_1": 0.12}[type_name]
