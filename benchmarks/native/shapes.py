"""The sizes of the models that are measured, as their published ``config.json`` files state them."""

from __future__ import annotations

from thresher.engines.native.config import DeltaConfig, MoeConfig, NativeConfig, every_nth_full


def _qwen3_5(
    hidden: int,
    layers: int,
    heads: tuple[int, int],
    value_heads: int,
    intermediate: int = 0,
    moe: MoeConfig | None = None,
    vocabulary: int = 248_320,
    key_heads: int = 16,
) -> NativeConfig:
    return NativeConfig(
        family="qwen3_5_moe" if moe else "qwen3_5",
        hidden_size=hidden,
        layer_count=layers,
        layer_kinds=every_nth_full(layers, 4),
        intermediate_size=intermediate,
        vocabulary_size=vocabulary,
        rms_norm_eps=1e-6,
        norm_offset=1.0,
        query_heads=heads[0],
        kv_heads=heads[1],
        head_dim=256,
        rotary_dim=64,
        rope_theta=1e7,
        output_gate=True,
        tied_embeddings=False,
        delta=DeltaConfig(key_heads=key_heads, value_heads=value_heads, key_dim=128, value_dim=128, conv_width=4),
        moe=moe,
    )


def _moe(experts: int, picked: int, size: int) -> MoeConfig:
    return MoeConfig(
        experts=experts, experts_per_token=picked, expert_size=size, shared_expert_size=size, normalize_top_k=True
    )


SHAPES: dict[str, NativeConfig] = {
    "tiny": _qwen3_5(256, 4, (2, 1), 4, intermediate=512, vocabulary=512, key_heads=2),
    "tiny-moe": _qwen3_5(128, 4, (2, 1), 4, vocabulary=512, key_heads=2, moe=_moe(8, 3, 64)),
    "check": _qwen3_5(1024, 8, (6, 2), 12, intermediate=2048, vocabulary=2048, key_heads=4),
    "check-moe": _qwen3_5(1024, 4, (6, 2), 12, vocabulary=2048, key_heads=4, moe=_moe(64, 6, 256)),
    "397B-A17B, 4 layers": _qwen3_5(4096, 4, (32, 2), 64, moe=_moe(512, 10, 1024)),
    "27B": _qwen3_5(5120, 64, (24, 4), 48, intermediate=17_408),
    "35B-A3B": _qwen3_5(2048, 40, (16, 2), 32, moe=_moe(256, 8, 512)),
    "397B-A17B": _qwen3_5(4096, 60, (32, 2), 64, moe=_moe(512, 10, 1024)),
    "32B": NativeConfig(
        family="qwen3",
        hidden_size=5120,
        layer_count=64,
        layer_kinds=("full",) * 64,
        intermediate_size=25_600,
        vocabulary_size=151_936,
        rms_norm_eps=1e-6,
        norm_offset=0.0,
        query_heads=64,
        kv_heads=8,
        head_dim=128,
        rotary_dim=128,
        rope_theta=1e6,
        output_gate=False,
        tied_embeddings=False,
        delta=None,
        moe=None,
    ),
}
