"""Contexts and slots: what is asked for or an error, and never more than the memory holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import engine_models
from thresher.engines.base import EngineOptions
from thresher.engines.llamacpp.context import CELL_STEP, F16, Shape
from thresher.engines.llamacpp.memory import model_memory
from thresher.engines.servers.managed import sizing
from thresher.engines.servers.managed.sizing import batching_sizes, llama_server_sizes
from thresher.errors import EngineCapacityError
from thresher.hardware import GpuFacts

MIB = 1 << 20


def gpu(free_bytes: int) -> GpuFacts:
    return GpuFacts(name="X", memory_bytes=free_bytes, free_bytes=free_bytes)


@given(free_mib=st.integers(1, 4096), asked=st.one_of(st.none(), st.integers(64, 4096)), slots=st.integers(1, 16))
def test_what_is_chosen_fits_the_gpu_and_holds_what_is_asked_for(free_mib: int, asked: int | None, slots: int) -> None:
    model = engine_models.shipped()
    options = EngineOptions(context_tokens=asked, settings={"slots": slots})
    try:
        sizes = llama_server_sizes(model, options, [gpu(free_mib * MIB)])
    except EngineCapacityError:
        return
    assert 1 <= sizes.slots <= slots
    assert sizes.context_tokens == asked or asked is None
    assert sizes.context_tokens <= model.facts.context_tokens
    memory = model_memory(model.headers)
    cells = sizes.slots * -(-sizes.context_tokens // CELL_STEP) * CELL_STEP
    shape = Shape(cells=cells, sequences=sizes.slots, micro_batch=sizes.micro_batch_tokens, threads=1, kv_type=F16)
    assert memory.weights_bytes + memory.context_bytes(shape) <= free_mib * MIB


def test_prompt_heavy_sizes_on_a_gpu_and_on_the_cpu() -> None:
    model = engine_models.shipped()
    on_gpu = llama_server_sizes(model, EngineOptions(context_tokens=4096), [gpu(80 << 30)])
    assert (on_gpu.slots, on_gpu.micro_batch_tokens, on_gpu.context_tokens) == (4, 2048, 4096)
    on_cpu = llama_server_sizes(model, EngineOptions(context_tokens=4096), [])
    assert (on_cpu.slots, on_cpu.micro_batch_tokens, on_cpu.context_tokens) == (1, 512, 4096)


def test_a_cut_context_is_told() -> None:
    model = engine_models.shipped()
    weights = model_memory(model.headers).weights_bytes
    sizes = llama_server_sizes(model, EngineOptions(), [gpu(int(1.2 * weights) + 600 * MIB)])
    assert sizes.context_tokens < model.facts.context_tokens
    assert "is cut from" in sizes.notices[0]


@pytest.mark.parametrize("free_bytes", [MIB, 0])
def test_weights_that_do_not_fit_are_refused(free_bytes: int) -> None:
    with pytest.raises(EngineCapacityError, match="smaller quantization"):
        llama_server_sizes(engine_models.shipped(), EngineOptions(), [gpu(free_bytes)])


def test_a_context_that_does_not_fit_is_refused_with_what_does() -> None:
    model = engine_models.shipped()
    weights = model_memory(model.headers).weights_bytes
    with pytest.raises(EngineCapacityError, match=r"hold a context of [\d,]+ tokens; give a smaller --context"):
        llama_server_sizes(model, EngineOptions(context_tokens=32_768), [gpu(int(1.2 * weights) + 64 * MIB)])


def test_vllm_and_sglang_get_a_usual_context_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine_models.shipped()
    monkeypatch.setattr(sizing, "_DEFAULT_CONTEXT_TOKENS", 1024)
    sizes = batching_sizes(model, EngineOptions(), [])
    assert (sizes.context_tokens, sizes.slots, sizes.gpus) == (1024, 128, 1)
    assert "--context asks for more" in sizes.notices[0]
    assert batching_sizes(model, EngineOptions(context_tokens=2048), []).context_tokens == 2048
