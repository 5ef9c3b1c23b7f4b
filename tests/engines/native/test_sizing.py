from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.native.shapes import SHAPES
from tests.support import engine_models
from tests.support.native_models import make_twin
from thresher.engines import EngineOptions
from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.sizing import Sizes, _prefix_bytes, joined_keys_bytes, plan_sizes, row_bytes, state_bytes
from thresher.errors import EngineCapacityError

GIB = 1 << 30
LARGE = NativeConfig(  # Qwen3.5-27B
    family="qwen3_5",
    hidden_size=5120,
    layer_count=64,
    layer_kinds=("delta", "delta", "delta", "full") * 16,
    intermediate_size=17_408,
    vocabulary_size=248_320,
    rms_norm_eps=1e-6,
    norm_offset=1.0,
    query_heads=24,
    kv_heads=4,
    head_dim=256,
    rotary_dim=64,
    rope_theta=1e7,
    output_gate=True,
    tied_embeddings=False,
    delta=DeltaConfig(key_heads=16, value_heads=48, key_dim=128, value_dim=128, conv_width=4),
    moe=None,
)


def plan(free_bytes: int, *, context: int | None = None, on_gpu: bool = True, streams: bool = False) -> Sizes:
    return plan_sizes(
        LARGE,
        engine_models.shipped().facts,
        EngineOptions(context_tokens=context),
        free_bytes=free_bytes,
        value_bytes=2,
        on_gpu=on_gpu,
        streams=streams,
    )


def test_a_token_of_the_large_model() -> None:
    """10 KiB of residual stream and 4 KiB of keys and values, beside the RoPE tables."""
    assert row_bytes(LARGE, 2) == 10 * 1024 + 4 * 1024 + 256
    assert state_bytes(LARGE) == pytest.approx(3 * 2**20, rel=0.05)


def test_a_pack_fits_what_is_free() -> None:
    for free in (4 * GIB, 8 * GIB, 40 * GIB):
        sizes = plan(free)
        assert sizes.pack_rows * row_bytes(LARGE, 2) < free
        assert sizes.step_spans * 3 * state_bytes(LARGE) < free / 2
        assert sizes.largest_request_tokens <= sizes.pack_rows


def test_streaming_wants_larger_packs() -> None:
    assert plan(40 * GIB, streams=True).pack_rows > plan(40 * GIB).pack_rows


def test_the_residual_stream_of_a_pack_stays_on_the_card() -> None:
    for free in (6 * GIB, 8 * GIB):
        assert plan(free, streams=True).pack_rows * 10 * 1024 <= free / 4


def test_experts_want_larger_steps() -> None:
    sizes = [
        plan_sizes(
            SHAPES["397B-A17B"],
            engine_models.shipped().facts,
            EngineOptions(),
            free_bytes=free * GIB,
            value_bytes=2,
            on_gpu=True,
            streams=True,
        ).step_rows
        for free in (5, 8, 14)
    ]
    assert sizes == [8192, 16_384, 32_768]


def test_joined_keys_are_counted() -> None:
    """256 MiB for a step of 16,384 tokens."""
    assert joined_keys_bytes(LARGE, 2, 16_384) == 256 << 20
    assert joined_keys_bytes(replace(LARGE, layer_kinds=("delta",) * 64), 2, 16_384) == 0


def test_the_prefix_is_counted_once_more_in_the_layer_at_work() -> None:
    """16 MiB of keys and values in each of 16 layers, and before a pack's own."""
    assert _prefix_bytes(LARGE, 2, 0) == 17 * 16 << 20
    assert _prefix_bytes(replace(LARGE, layer_kinds=("delta",) * 64), 2, 5) == 64 * 5


def test_a_context_that_does_not_fit() -> None:
    with pytest.raises(EngineCapacityError, match=r"a context of 32,768 tokens does not fit .* at most [\d,]+ tokens"):
        plan(int(3.0 * GIB), context=32_768)


def test_no_memory_at_all() -> None:
    with pytest.raises(EngineCapacityError, match="at most 0 tokens"):
        plan(1 << 20)


def test_a_model_without_states() -> None:
    assert state_bytes(make_twin("qwen3", layers=1).config) == 0
