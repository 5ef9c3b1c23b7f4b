"""A checkpoint's ``config.json`` -> :class:`~thresher.engines.native.config.NativeConfig`.

Keys are those of transformers 5 (rope_parameters, num_local_experts) and 4 (rope_theta and rope_scaling beside the
others, num_experts). Nothing is taken from transformers' class defaults: they are not those of the published models.
"""

from __future__ import annotations

from thresher.engines.native.config import DeltaConfig, Family, LayerKind, MoeConfig, NativeConfig, every_nth_full
from thresher.errors import ModelFormatError
from thresher.models.config_file import ConfigSection

_FAMILIES: dict[str, Family] = {
    "qwen3": "qwen3",
    "qwen3_moe": "qwen3_moe",
    "qwen3_5_text": "qwen3_5",
    "qwen3_5_moe_text": "qwen3_5_moe",
}
_KINDS: dict[str, LayerKind] = {"linear_attention": "delta", "full_attention": "full"}


def read_json_config(text: ConfigSection) -> NativeConfig:
    """The config of the language model that ``text`` describes (:meth:`ConfigSection.language_model`).

    Raises:
        ModelFormatError: a family that is not built, a missing key, or a value that changes the arithmetic; names it.
    """
    family = _family(text)
    hybrid = family.startswith("qwen3_5")
    _refuse_other_arithmetic(text, family)
    kinds = _layer_kinds(text, hybrid=hybrid)
    head_dim = text.positive("head_dim")
    rotary_dim, rope_theta = _rope(text, head_dim, hybrid=hybrid)
    moe = _moe(text, family)
    return NativeConfig(
        family=family,
        hidden_size=text.positive("hidden_size"),
        layer_count=len(kinds),
        layer_kinds=kinds,
        intermediate_size=0 if moe else text.positive("intermediate_size"),
        vocabulary_size=text.positive("vocab_size"),
        rms_norm_eps=text.require("rms_norm_eps", float),
        norm_offset=1.0 if hybrid else 0.0,
        query_heads=text.positive("num_attention_heads"),
        kv_heads=text.positive("num_key_value_heads"),
        head_dim=head_dim,
        rotary_dim=rotary_dim,
        rope_theta=rope_theta,
        output_gate=hybrid,
        tied_embeddings=text.require("tie_word_embeddings", bool),
        delta=_delta(text) if "delta" in kinds else None,
        moe=moe,
    )


def _family(text: ConfigSection) -> Family:
    model_type = text.require("model_type", str)
    if model_type not in _FAMILIES:
        raise ModelFormatError(
            f"{text.name}: the model type {model_type!r} is not built into the native engine, only "
            f"{', '.join(_FAMILIES)}; fetch a GGUF of the model for --engine llamacpp"
        )
    return _FAMILIES[model_type]


def _refuse_other_arithmetic(text: ConfigSection, family: Family) -> None:
    text.require("hidden_act", str)
    text.only("hidden_act", "silu")
    text.only("attention_bias", False)
    text.only("attn_output_gate", True)
    text.only("use_sliding_window", False)
    text.only("mlp_only_layers", [])
    text.only("decoder_sparse_step", 1)
    text.only("scoring_func", "softmax")
    text.only("routed_scaling_factor", 1.0)
    if family == "qwen3_5_moe":
        text.only("norm_topk_prob", True)


def _layer_kinds(text: ConfigSection, *, hybrid: bool) -> tuple[LayerKind, ...]:
    layers = text.positive("num_hidden_layers")
    named = text.strings("layer_types")
    if named is None:
        return every_nth_full(layers, text.positive("full_attention_interval") if hybrid else 1)
    allowed = _KINDS if hybrid else {"full_attention": _KINDS["full_attention"]}
    unknown = [kind for kind in named if kind not in allowed]
    if unknown or len(named) != layers:
        raise ModelFormatError(
            f"{text.name}: layer_types should name one of {', '.join(allowed)} for each of {layers} layers, "
            f"and has {len(named)} entries" + (f", {unknown[0]!r} among them" if unknown else "")
        )
    return tuple(allowed[kind] for kind in named)


def _rope(text: ConfigSection, head_dim: int, *, hybrid: bool) -> tuple[int, float]:
    """(rotated dimensions, theta). For text alone the three axes of mrope are the same, and so it is plain RoPE."""
    rope = text.section("rope_parameters") or text
    for scaling in (text.section("rope_parameters"), text.section("rope_scaling")):
        if scaling is not None:
            scaling.only("rope_type", "default")
            scaling.only("type", "default")
    if not hybrid:
        rope.only("partial_rotary_factor", 1.0)
        return head_dim, rope.require("rope_theta", float)
    holder = rope if "partial_rotary_factor" in rope.values else text
    factor = holder.require("partial_rotary_factor", float)
    rotary_dim = round(factor * head_dim)
    if not 0 < factor <= 1 or rotary_dim % 2 or abs(rotary_dim - factor * head_dim) > 1e-6:
        raise ModelFormatError(
            f"{text.name}: partial_rotary_factor {factor} of head_dim {head_dim} is no even number of dimensions"
        )
    return rotary_dim, rope.require("rope_theta", float)


def _delta(text: ConfigSection) -> DeltaConfig:
    key_heads, value_heads = text.positive("linear_num_key_heads"), text.positive("linear_num_value_heads")
    if value_heads % key_heads:
        raise ModelFormatError(
            f"{text.name}: linear_num_value_heads {value_heads} is no multiple of linear_num_key_heads {key_heads}"
        )
    return DeltaConfig(
        key_heads=key_heads,
        value_heads=value_heads,
        key_dim=text.positive("linear_key_head_dim"),
        value_dim=text.positive("linear_value_head_dim"),
        conv_width=text.positive("linear_conv_kernel_dim"),
    )


def _moe(text: ConfigSection, family: Family) -> MoeConfig | None:
    if not family.endswith("_moe"):
        return None
    shared = family == "qwen3_5_moe"
    return MoeConfig(
        experts=text.positive("num_local_experts" if "num_local_experts" in text.values else "num_experts"),
        experts_per_token=text.positive("num_experts_per_tok"),
        expert_size=text.positive("moe_intermediate_size"),
        shared_expert_size=text.positive("shared_expert_intermediate_size") if shared else 0,
        normalize_top_k=True if shared else text.require("norm_topk_prob", bool),
    )
