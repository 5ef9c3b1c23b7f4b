"""A checkpoint's ``config.json`` -> :class:`~thresher.models.shape.ModelShape`.

Keys are those of transformers 4 and 5. Families differ in what their files leave unsaid (a norm of the queries, a gate
beside them), which stands here by family; another family is refused, because a guess would be a wrong figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.errors import ModelFormatError
from thresher.models.config_file import ConfigSection
from thresher.models.shape import DeltaShape, LayerKind, ModelShape, MoeShape, every_nth_full
from thresher.suggestions import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    qk_norms: bool = False
    hybrid: bool = False  # Gated DeltaNet layers, and a gate beside each query
    mixture: bool = False


_FAMILIES: Mapping[str, _Family] = {
    "llama": _Family(),
    "mistral": _Family(),
    "qwen2": _Family(),
    "qwen3": _Family(qk_norms=True),
    "qwen3_moe": _Family(qk_norms=True, mixture=True),
    "qwen3_5_text": _Family(qk_norms=True, hybrid=True),
    "qwen3_5_moe_text": _Family(qk_norms=True, hybrid=True, mixture=True),
}
_KINDS: Mapping[str, LayerKind] = {"linear_attention": "delta", "full_attention": "full"}


def shape_of_config(config: ConfigSection) -> ModelShape:
    """The shape of the language model that a whole ``config.json`` describes.

    Raises:
        ModelFormatError: a family whose sizes are not known here, or a key that is missing or wrong; names it.
    """
    text = config.language_model()
    model_type = text.require("model_type", str)
    family = _FAMILIES.get(model_type)
    if family is None:
        raise ModelFormatError(
            f"{text.name}: the sizes of the model type {model_type!r} are not known (known: {', '.join(_FAMILIES)}); "
            f"give a GGUF of the model{did_you_mean(model_type, _FAMILIES)}"
        )
    heads, hidden = text.positive("num_attention_heads"), text.positive("hidden_size")
    head_dim = text.get("head_dim", int, 0) or hidden // heads
    kinds = _layer_kinds(text, hybrid=family.hybrid)
    return ModelShape(
        architecture=model_type,
        hidden=hidden,
        layer_kinds=kinds,
        feed_forward=0 if family.mixture else text.positive("intermediate_size"),
        vocabulary=text.positive("vocab_size"),
        context_tokens=text.positive("max_position_embeddings"),
        query_heads=heads,
        kv_heads=text.get("num_key_value_heads", int, heads),
        head_dim=head_dim,
        rotary_dim=_rotary_dim(text, head_dim),
        output_gate=family.hybrid and text.get("attn_output_gate", bool, True),
        qk_norms=family.qk_norms,
        tied=text.get("tie_word_embeddings", bool, False),
        delta=_delta(text) if "delta" in kinds else None,
        moe=_moe(text) if family.mixture else None,
    )


def _layer_kinds(text: ConfigSection, *, hybrid: bool) -> tuple[LayerKind, ...]:
    layers = text.positive("num_hidden_layers")
    named = text.strings("layer_types")
    if not hybrid:
        return every_nth_full(layers, 1)
    if named is None:
        return every_nth_full(layers, text.positive("full_attention_interval"))
    unknown = [kind for kind in named if kind not in _KINDS]
    if unknown or len(named) != layers:
        raise ModelFormatError(
            f"{text.name}: layer_types should name one of {', '.join(_KINDS)} for each of {layers} layers, and has "
            f"{len(named)} entries" + (f", {unknown[0]!r} among them" if unknown else "")
        )
    return tuple(_KINDS[kind] for kind in named)


def _rotary_dim(text: ConfigSection, head_dim: int) -> int:
    rope = text.section("rope_parameters") or text
    holder = rope if "partial_rotary_factor" in rope.values else text
    return round(holder.get("partial_rotary_factor", float, 1.0) * head_dim)


def _delta(text: ConfigSection) -> DeltaShape:
    return DeltaShape(
        key_heads=text.positive("linear_num_key_heads"),
        value_heads=text.positive("linear_num_value_heads"),
        key_dim=text.positive("linear_key_head_dim"),
        value_dim=text.positive("linear_value_head_dim"),
        conv_width=text.positive("linear_conv_kernel_dim"),
    )


def _moe(text: ConfigSection) -> MoeShape:
    return MoeShape(
        experts=text.positive("num_local_experts" if "num_local_experts" in text.values else "num_experts"),
        experts_per_token=text.positive("num_experts_per_tok"),
        expert_size=text.positive("moe_intermediate_size"),
        shared_expert_size=text.get("shared_expert_intermediate_size", int, 0),
    )
