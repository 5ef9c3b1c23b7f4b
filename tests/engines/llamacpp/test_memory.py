"""The memory estimate against what llama.cpp says it allocates."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support import engine_models
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F16, F32, Context, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.log import LOG_CALLBACK
from thresher.engines.llamacpp.memory import model_memory
from thresher.models import Model

MIB = 2**20


def allocated_bytes(model: Model, shape: Shape) -> dict[str, int]:
    """Bytes by kind of buffer, from llama.cpp's log."""
    lines: list[str] = []
    callback = LOG_CALLBACK(lambda _level, text, _data: lines.append((text or b"").decode()))
    binding = open_binding(want_gpu=False)
    loaded = LoadedModel(binding, model.files.path, on_gpu=False)
    binding.call.llama_log_set(callback, None)
    try:
        Context(binding, loaded.handle, loaded.vocabulary_size, shape).close()
    finally:
        binding.call.llama_log_set(binding.log.callback, None)
        loaded.close()
    found = re.findall(r"CPU\s+(\w+) buffer size =\s+([\d.]+) MiB", "".join(lines))
    return {kind: int(float(size) * MIB) for kind, size in found}


@pytest.mark.parametrize("make_model", [engine_models.shipped, engine_models.plain])
@pytest.mark.parametrize("kv_type", [F16, F32])
@pytest.mark.parametrize("cells", [1024, 16_384])
def test_the_estimate_is_not_below_what_is_allocated(make_model: Callable[[], Model], kv_type: int, cells: int) -> None:
    model = make_model()
    memory = model_memory(model.headers)
    shape = Shape(cells=cells, sequences=9, micro_batch=512, threads=1, kv_type=kv_type)
    allocated = allocated_bytes(model, shape)
    kv_bytes = cells * memory.kv_elements * (4 if kv_type == F32 else 2)
    assert kv_bytes == pytest.approx(allocated["KV"], rel=0.01)
    assert 9 * memory.state_bytes == pytest.approx(allocated.get("RS", 0), rel=0.01)
    assert sum(allocated.values()) <= memory.context_bytes(shape) <= 4 * sum(allocated.values())


def test_the_largest_context_fits_and_a_larger_one_does_not() -> None:
    memory = model_memory(engine_models.shipped().headers)
    shape = Shape(cells=256, sequences=9, micro_batch=512, threads=1, kv_type=F16)
    cells = memory.largest_cells(shape, 100 * MIB)
    sizes = [
        memory.context_bytes(Shape(cells=n, sequences=9, micro_batch=512, threads=1, kv_type=F16))
        for n in (cells, cells + 1)
    ]
    assert sizes[0] <= 100 * MIB < sizes[1]
