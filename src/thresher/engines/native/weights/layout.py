"""Every tensor of a model and its shape, as its config promises them."""

from __future__ import annotations

from collections.abc import Mapping

from thresher.engines.native.config import DeltaConfig, MoeConfig, NativeConfig

Shape = tuple[int, ...]


def expected_shapes(config: NativeConfig) -> dict[str, Shape]:
    """Name -> shape of all tensors, in the order of the forward pass."""
    shapes: dict[str, Shape] = {"embed_tokens.weight": (config.vocabulary_size, config.hidden_size)}
    for layer in range(config.layer_count):
        shapes |= {f"layers.{layer}.{name}": shape for name, shape in layer_shapes(config, layer).items()}
    shapes["norm.weight"] = (config.hidden_size,)
    if not config.tied_embeddings:
        shapes["lm_head.weight"] = (config.vocabulary_size, config.hidden_size)
    return shapes


def layer_shapes(config: NativeConfig, layer: int) -> dict[str, Shape]:
    """Name below ``layers.N.`` -> shape of the tensors of one layer."""
    hidden = config.hidden_size
    if config.layer_kinds[layer] == "delta" and config.delta is not None:
        mixer = _below("linear_attn", _delta_shapes(hidden, config.delta))
    else:
        mixer = _below("self_attn", _attention_shapes(config))
    feed_forward = _moe_shapes(hidden, config.moe) if config.moe else _swiglu(hidden, config.intermediate_size)
    return {
        "input_layernorm.weight": (hidden,),
        **mixer,
        "post_attention_layernorm.weight": (hidden,),
        **_below("mlp", feed_forward),
    }


def _delta_shapes(hidden: int, delta: DeltaConfig) -> dict[str, Shape]:
    return {
        "in_proj_qkv.weight": (delta.conv_channels, hidden),
        "in_proj_z.weight": (delta.value_size, hidden),
        "in_proj_a.weight": (delta.value_heads, hidden),
        "in_proj_b.weight": (delta.value_heads, hidden),
        "conv1d.weight": (delta.conv_channels, 1, delta.conv_width),
        "A_log": (delta.value_heads,),
        "dt_bias": (delta.value_heads,),
        "norm.weight": (delta.value_dim,),
        "out_proj.weight": (hidden, delta.value_size),
    }


def _attention_shapes(config: NativeConfig) -> dict[str, Shape]:
    query_size, kv_size = config.query_heads * config.head_dim, config.kv_heads * config.head_dim
    return {
        "q_proj.weight": (query_size * (2 if config.output_gate else 1), config.hidden_size),
        "k_proj.weight": (kv_size, config.hidden_size),
        "v_proj.weight": (kv_size, config.hidden_size),
        "q_norm.weight": (config.head_dim,),
        "k_norm.weight": (config.head_dim,),
        "o_proj.weight": (config.hidden_size, query_size),
    }


def _moe_shapes(hidden: int, moe: MoeConfig) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {
        "gate.weight": (moe.experts, hidden),
        "experts.gate_up_proj": (moe.experts, 2 * moe.expert_size, hidden),
        "experts.down_proj": (moe.experts, hidden, moe.expert_size),
    }
    if moe.shared_expert_size:
        shapes |= _below("shared_expert", _swiglu(hidden, moe.shared_expert_size))
        shapes["shared_expert_gate.weight"] = (1, hidden)
    return shapes


def _swiglu(hidden: int, size: int) -> dict[str, Shape]:
    return {"gate_proj.weight": (size, hidden), "up_proj.weight": (size, hidden), "down_proj.weight": (hidden, size)}


def _below(prefix: str, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}
