"""Plans and engines choose the same: the planning room's formulas against those the engines size themselves by."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import engine_models
from tests.support.checkpoints import FAMILIES, tiny_config
from thresher.engines import EngineOptions
from thresher.engines.llamacpp.context import F16, F32, Shape
from thresher.engines.llamacpp.memory import model_memory
from thresher.engines.native import placement, sizing
from thresher.engines.native.config import DeltaConfig, Family, MoeConfig, NativeConfig
from thresher.engines.native.layer_format import LayerFormat, expanded_bytes
from thresher.engines.native.linear import PRECISIONS
from thresher.engines.native.pipeline import packs_in_flight
from thresher.engines.native.precision import choose_precision
from thresher.engines.native.residency import resident_layers, weights_bytes
from thresher.engines.native.split import split_layers
from thresher.errors import EngineCapacityError, UsageError
from thresher.hardware import GpuFacts, HardwareFacts
from thresher.models import Model, outline_of_model
from thresher.models.shape import DeltaShape, ModelShape, MoeShape
from thresher.planning import Setting, automatic_precision, native_blocks, native_memory, native_sizes
from thresher.planning.costs import state_bytes_per_layer
from thresher.planning.formats import NATIVE_PRECISIONS
from thresher.planning.llamacpp_memory import context_parts
from thresher.planning.native_blocks import block_bytes, resident_bytes, resident_count, split_over, table_bytes
from thresher.planning.setting import Room

GIB = 1 << 30
LARGE = dataclasses.replace(
    tiny_config("qwen3_5", vocabulary_size=248_320),
    hidden_size=5120,
    layer_count=16,
    layer_kinds=("delta", "delta", "delta", "full") * 4,
    intermediate_size=17_408,
    query_heads=24,
    kv_heads=4,
    head_dim=256,
    rotary_dim=64,
    delta=DeltaConfig(key_heads=16, value_heads=48, key_dim=128, value_dim=128, conv_width=4),
)
MIXTURE = dataclasses.replace(
    LARGE,
    family="qwen3_5_moe",
    intermediate_size=0,
    moe=MoeConfig(experts=16, experts_per_token=4, expert_size=1024, shared_expert_size=1024, normalize_top_k=True),
)


def shape_of(config: NativeConfig) -> ModelShape:
    delta, moe = config.delta, config.moe
    return ModelShape(
        architecture=config.family,
        hidden=config.hidden_size,
        layer_kinds=config.layer_kinds,
        feed_forward=config.intermediate_size,
        vocabulary=config.vocabulary_size,
        context_tokens=32_768,
        query_heads=config.query_heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        rotary_dim=config.rotary_dim,
        output_gate=config.output_gate,
        qk_norms=True,
        tied=config.tied_embeddings,
        delta=None if delta is None else DeltaShape(**dataclasses.asdict(delta)),
        moe=None
        if moe is None
        else MoeShape(
            experts=moe.experts,
            experts_per_token=moe.experts_per_token,
            expert_size=moe.expert_size,
            shared_expert_size=moe.shared_expert_size,
        ),
    )


def test_precisions_have_the_same_names() -> None:
    assert set(NATIVE_PRECISIONS) == set(PRECISIONS)


@pytest.mark.parametrize("precision", NATIVE_PRECISIONS)
@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_of_layers(family: Family, precision: str) -> None:
    config = tiny_config(family)
    for layer in range(config.layer_count):
        expected = LayerFormat(config, layer, precision).block_bytes
        assert block_bytes(shape_of(config), layer, precision) == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp8", "nvfp4"])
@pytest.mark.parametrize("config", [LARGE, MIXTURE], ids=["dense", "mixture"])
def test_blocks_of_large_layers(config: NativeConfig, precision: str) -> None:
    for layer in (0, 3):
        expected = LayerFormat(config, layer, precision).block_bytes
        assert block_bytes(shape_of(config), layer, precision) == expected


@pytest.mark.parametrize("precision", NATIVE_PRECISIONS)
@pytest.mark.parametrize("config", [LARGE, MIXTURE], ids=["dense", "mixture"])
def test_memory_of_an_expanded_layer(config: NativeConfig, precision: str) -> None:
    assert native_blocks.expanded_bytes(shape_of(config), precision) == expanded_bytes(config, precision)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=60), st.integers(0, 6000))
def test_layers_that_stay(blocks: list[int], limit: int) -> None:
    count = resident_count(blocks, limit)
    try:
        resident = resident_layers(blocks, limit)
    except EngineCapacityError:
        assert count is None
        return
    assert count == len(resident)
    assert resident_bytes(blocks, len(resident)) == weights_bytes(blocks, resident)


@given(
    blocks=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    devices=st.integers(2, 6),
    room=st.integers(10, 200),
    table=st.integers(0, 60),
)
def test_layers_over_devices(blocks: list[int], devices: int, room: int, table: int) -> None:
    found = split_over(blocks, devices, room, room - table)
    try:
        expected = split_layers(blocks, [room] * (devices - 1) + [room - table])
    except (EngineCapacityError, UsageError):
        assert found is None
        return
    assert found is not None
    assert max(sum(blocks[layer] for layer in part) for part in found) == max(
        sum(blocks[layer] for layer in part) for part in expected
    ), "equal halves may be cut elsewhere"


@given(
    config=st.sampled_from([LARGE, MIXTURE, tiny_config("qwen3"), tiny_config("qwen3_5_moe")]),
    free=st.integers(1 << 28, 90 * GIB),
    precision=st.sampled_from(["fp32", "bf16", "fp8"]),
    devices=st.integers(1, 4),
    on_gpu=st.booleans(),
    streams=st.booleans(),
)
def test_sizes_of_the_native_engine(
    config: NativeConfig, free: int, precision: str, devices: int, on_gpu: bool, streams: bool
) -> None:
    facts = dataclasses.replace(engine_models.shipped().facts, context_tokens=32_768)
    value_bytes = 4 if precision == "fp32" else 2
    flights = packs_in_flight(devices)
    setting = Setting(engine="native", precision=precision, context_tokens=2048, gpus=devices if on_gpu else 0)
    planned = native_sizes.native_sizes(
        shape_of(config), setting, free_bytes=free, on_gpu=on_gpu, streams=streams, packs_in_flight=flights
    )
    try:
        sizes = sizing.plan_sizes(
            config, facts, EngineOptions(context_tokens=2048), free_bytes=free, value_bytes=value_bytes,
            on_gpu=on_gpu, streams=streams, packs_in_flight=flights,
        )  # fmt: skip
    except EngineCapacityError:
        assert planned.tokens_that_fit < 2048
        return
    assert planned.tokens_that_fit >= 2048
    assert (planned.step_tokens, planned.pack_tokens) == (sizes.step_rows, sizes.pack_rows)
    assert planned.row_bytes == sizing.row_bytes(config, value_bytes, flights)
    assert state_bytes_per_layer(shape_of(config)) == sizing.state_bytes(config)


class _Source:
    """As much of a weight source as placing needs."""

    def __init__(self, config: NativeConfig) -> None:
        self.config = config

    def shape(self, _: str) -> tuple[int, int]:
        return self.config.vocabulary_size, self.config.hidden_size


@given(
    free_gib=st.floats(2, 60),
    limit_gib=st.none() | st.floats(1, 30),
    precision=st.sampled_from(["bf16", "fp8"]),
    on_gpu=st.booleans(),
    tied=st.booleans(),
)
def test_weights_on_a_device(
    free_gib: float, limit_gib: float | None, precision: str, on_gpu: bool, tied: bool
) -> None:
    config = dataclasses.replace(LARGE, tied_embeddings=tied)
    free = int(free_gib * GIB)
    limit = None if limit_gib is None else int(limit_gib * GIB)
    shape = shape_of(config)
    blocks = [block_bytes(shape, layer, precision) for layer in range(config.layer_count)]
    part = placement.Part(
        device=torch.device("cuda", 0) if on_gpu else torch.device("cpu"),
        layers=range(config.layer_count),
        free_bytes=free,
        first=True,
        last=True,
    )
    source = _Source(config)
    assert placement.table_bytes(source, torch.bfloat16) == table_bytes(shape, precision)  # type: ignore[arg-type]
    setting = Setting(
        engine="native", precision=precision, context_tokens=512, gpus=int(on_gpu), weights_memory_bytes=limit
    )
    room = Room(device_bytes=free, total_bytes=free, host_bytes=free, on_gpu=on_gpu)
    planned = native_memory.native_fit(shape, setting, room)
    try:
        placed = placement.place(part, source, blocks, torch.bfloat16, limit)  # type: ignore[arg-type]
    except EngineCapacityError:
        assert "the least is two of the largest layers" in planned.problem
        return
    assert planned.parts["weights"] == placed.device_bytes
    if placed.device_bytes < free:
        assert planned.streamed_layers == config.layer_count - len(placed.resident)


@pytest.mark.parametrize("make_model", [engine_models.shipped, engine_models.plain, engine_models.float32])
@pytest.mark.parametrize("kv_type", [F16, F32])
@pytest.mark.parametrize("cells", [256, 16_384])
def test_context_of_llamacpp(make_model: object, kv_type: int, cells: int) -> None:
    model: Model = make_model()  # type: ignore[operator]
    shape = Shape(cells=cells, sequences=9, micro_batch=512, threads=1, kv_type=kv_type)
    planned = context_parts(
        outline_of_model(model).shape,
        cells=cells,
        sequences=9,
        micro_batch=512,
        float32=kv_type == F32,
        logit_rows=shape.largest_outputs,
    )
    assert sum(planned.values()) == model_memory(model.headers).context_bytes(shape)


@pytest.mark.parametrize("stored", ["BF16", "Q8_0", "Q5_K_M", "UD-Q5_K_XL", "FP8", "F32", "MXFP4"])
@pytest.mark.parametrize("capability", [None, (7, 5), (8, 0), (8, 9), (9, 0), (12, 0)])
def test_the_precision_taken_by_itself(capability: tuple[int, int] | None, stored: str) -> None:
    gpus = (GpuFacts(name="any", memory_bytes=1, free_bytes=1, capability=capability),) if capability else ()
    hardware = HardwareFacts(cpu="any", cores=1, memory_bytes=1, free_memory_bytes=1, gpus=gpus, present=False)
    found = dataclasses.replace(outline_of_model(engine_models.shipped()), quantization=stored)
    assert automatic_precision(found, hardware) == choose_precision("auto", capability, stored).precision
