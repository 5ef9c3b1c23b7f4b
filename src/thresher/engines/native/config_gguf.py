"""A GGUF header -> :class:`~thresher.engines.native.config.NativeConfig`.

Keys and their meaning are those of llama.cpp (gguf-py/gguf/constants.py and src/models/qwen3*.cpp, October 2026). What
its graphs of these architectures do without being told (SiLU, softmax routing that is normalized over the picked
experts, the gate beside each query) is theirs alone to say, and so stands here by architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.engines.native.config import DeltaConfig, Family, LayerKind, MoeConfig, NativeConfig, every_nth_full
from thresher.errors import ModelFormatError
from thresher.models.gguf_file import GgufHeader

_FAMILIES: Mapping[str, Family] = {
    "qwen3": "qwen3",
    "qwen3moe": "qwen3_moe",
    "qwen35": "qwen3_5",
    "qwen35moe": "qwen3_5_moe",
}
_SOFTMAX = 1  # llama.cpp's LLAMA_EXPERT_GATING_FUNC_TYPE_SOFTMAX


@dataclass(frozen=True, slots=True)
class _Keys:
    """The header's keys below the architecture's name."""

    header: GgufHeader
    architecture: str

    def number(self, key: str, default: int | None = None) -> int:
        name = f"{self.architecture}.{key}"
        value = self.header.require(name, int) if default is None else self.header.get(name, int, default)
        if value < (1 if default is None else min(default, 1)):
            raise ModelFormatError(f"{self.header.name}: {name} is {value}; it must be positive")
        return value

    def real(self, key: str) -> float:
        return self.header.require(f"{self.architecture}.{key}", float)

    def only(self, key: str, kind: type[int] | type[str] | type[bool] | type[float], wanted: object) -> None:
        """Refuse a file that says something else than ``wanted``; silence is ``wanted``."""
        name = f"{self.architecture}.{key}"
        if name in self.header.metadata and (value := self.header.require(name, kind)) != wanted:
            raise ModelFormatError(
                f"{self.header.name}: {name} is {value!r}, and the native engine knows only {wanted!r}; "
                "use --engine llamacpp"
            )


def read_gguf_config(header: GgufHeader, tensor_shapes: Mapping[str, tuple[int, ...]]) -> NativeConfig:
    """The config of the model with this header; ``tensor_shapes`` of all its files, in ggml's order.

    Raises:
        ModelFormatError: an architecture that is not built, a missing key, or a value that changes the arithmetic.
    """
    architecture = header.require("general.architecture", str)
    if architecture not in _FAMILIES:
        raise ModelFormatError(
            f"{header.name}: the architecture {architecture!r} is not built into the native engine, "
            f"only {', '.join(_FAMILIES)}; use --engine llamacpp"
        )
    keys = _Keys(header, architecture)
    family = _FAMILIES[architecture]
    _refuse_other_arithmetic(keys, tensor_shapes)
    head_dim = keys.number("attention.key_length")
    keys.only("attention.value_length", int, head_dim)
    kinds = _layer_kinds(keys, family)
    moe = _moe(keys, family)
    return NativeConfig(
        family=family,
        hidden_size=keys.number("embedding_length"),
        layer_count=len(kinds),
        layer_kinds=kinds,
        intermediate_size=0 if moe else keys.number("feed_forward_length"),
        vocabulary_size=_vocabulary_size(header, tensor_shapes),
        rms_norm_eps=keys.real("attention.layer_norm_rms_epsilon"),
        norm_offset=1.0 if family.startswith("qwen3_5") else 0.0,
        query_heads=keys.number("attention.head_count"),
        kv_heads=_kv_heads(keys, kinds),
        head_dim=head_dim,
        rotary_dim=keys.number("rope.dimension_count", None if family.startswith("qwen3_5") else head_dim),
        rope_theta=keys.real("rope.freq_base"),
        output_gate=family.startswith("qwen3_5"),
        tied_embeddings="output.weight" not in tensor_shapes,
        delta=_delta(keys) if "delta" in kinds else None,
        moe=moe,
    )


def _refuse_other_arithmetic(keys: _Keys, tensor_shapes: Mapping[str, tuple[int, ...]]) -> None:
    keys.only("rope.scaling.type", str, "none")
    keys.only("expert_gating_func", int, _SOFTMAX)
    keys.only("expert_weights_norm", bool, True)
    keys.only("expert_weights_scale", float, 1.0)
    keys.only("attention.causal", bool, True)
    keys.only("attention.sliding_window", int, 0)
    keys.only("use_parallel_residual", bool, False)
    for name in tensor_shapes:
        if name == "rope_freqs.weight" or (name.endswith(".bias") and not name.endswith("ssm_dt.bias")):
            raise ModelFormatError(
                f"{keys.header.name}: the tensor {name!r} changes what the model computes in a way that the native "
                "engine does not know; use --engine llamacpp"
            )


def _layer_kinds(keys: _Keys, family: Family) -> tuple[LayerKind, ...]:
    """Layers that predict further tokens (MTP) come last in the file and are left out."""
    layers = keys.number("block_count") - keys.number("nextn_predict_layers", 0)
    if layers < 1:
        raise ModelFormatError(f"{keys.header.name}: the file says that it has {layers} layers")
    if not family.startswith("qwen3_5"):
        return every_nth_full(layers, 1)
    return every_nth_full(layers, keys.number("full_attention_interval"))


def _kv_heads(keys: _Keys, kinds: tuple[LayerKind, ...]) -> int:
    """The same in every full-attention layer, or refused; the file may have a number for each layer."""
    name = f"{keys.architecture}.attention.head_count_kv"
    value = keys.header.metadata.get(name)
    if not isinstance(value, tuple):
        return keys.number("attention.head_count_kv")
    found = {heads for heads, kind in zip(value, kinds, strict=False) if kind == "full"}
    if len(value) < len(kinds) or len(found) != 1 or not isinstance(heads := found.pop(), int) or heads < 1:
        raise ModelFormatError(
            f"{keys.header.name}: {name} is {value}; the native engine needs one positive number for all "
            f"full-attention layers of {len(kinds)} layers"
        )
    return heads


def _delta(keys: _Keys) -> DeltaConfig:
    value_heads, inner_size = keys.number("ssm.time_step_rank"), keys.number("ssm.inner_size")
    key_heads = keys.number("ssm.group_count")
    if inner_size % value_heads or value_heads % key_heads:
        raise ModelFormatError(
            f"{keys.header.name}: {value_heads} value heads neither divide ssm.inner_size {inner_size} nor share "
            f"{key_heads} key heads evenly; the file is damaged"
        )
    return DeltaConfig(
        key_heads=key_heads,
        value_heads=value_heads,
        key_dim=keys.number("ssm.state_size"),
        value_dim=inner_size // value_heads,
        conv_width=keys.number("ssm.conv_kernel"),
    )


def _moe(keys: _Keys, family: Family) -> MoeConfig | None:
    if not family.endswith("_moe"):
        return None
    has_shared = family == "qwen3_5_moe"
    return MoeConfig(
        experts=keys.number("expert_count"),
        experts_per_token=keys.number("expert_used_count"),
        expert_size=keys.number("expert_feed_forward_length"),
        shared_expert_size=keys.number("expert_shared_feed_forward_length") if has_shared else 0,
        normalize_top_k=True,
    )


def _vocabulary_size(header: GgufHeader, tensor_shapes: Mapping[str, tuple[int, ...]]) -> int:
    shape = tensor_shapes.get("token_embd.weight", ())
    if len(shape) != 2:
        raise ModelFormatError(f"{header.name}: the tensor 'token_embd.weight' is missing or no matrix; it is {shape}")
    return shape[1]
