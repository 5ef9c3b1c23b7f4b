"""The headers of a GGUF model -> :class:`~thresher.models.shape.ModelShape`.

Sizes come from the keys below the architecture's name (llama.cpp, gguf-py/gguf/constants.py, October 2026), and
switches from the tensors that are there. Architectures are not listed: what the tensors say is checked against the
sizes, and a model that keeps something else than keys, values and DeltaNet states is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thresher.errors import ModelFormatError
from thresher.models.gguf_file import GgufHeader
from thresher.models.shape import DeltaShape, LayerKind, ModelShape, MoeShape

_Shapes = Mapping[str, tuple[int, ...]]
#: Tensors of layers that keep what is not known here: other recurrent layers, compressed keys and values.
_OTHER_MEMORY = (".time_mix_key.weight", ".shortconv.conv.weight", ".attn_kv_a_mqa.weight", ".ssm_x.weight")


@dataclass(frozen=True, slots=True)
class _Keys:
    header: GgufHeader
    architecture: str

    def number(self, name: str, default: int | None = None) -> int:
        """The value of a key below the architecture's name; of a list, its largest."""
        key = f"{self.architecture}.{name}"
        value = self.header.metadata.get(key)
        if isinstance(value, tuple) and value and all(isinstance(each, int) for each in value):
            return max(each for each in value if isinstance(each, int))
        found = self.header.require(key, int) if default is None else self.header.get(key, int, default)
        if found < 0 or (default is None and found < 1):
            raise ModelFormatError(f"{self.header.name}: the metadata key {key!r} is {found}; the file is damaged")
        return found


def shape_of_gguf(headers: Sequence[GgufHeader]) -> ModelShape:
    """The shape of the model whose shards have these headers, first shard first.

    Raises:
        ModelFormatError: a key is missing, or the model keeps something that is not known here; names it.
    """
    first = headers[0]
    tensors = {tensor.name: tensor.shape for header in headers for tensor in header.tensors}
    keys = _Keys(first, first.require("general.architecture", str))
    _refuse_other_memory(first, tensors)
    hidden, heads = keys.number("embedding_length"), keys.number("attention.head_count")
    head_dim = keys.number("attention.key_length", hidden // heads)
    kv_heads = keys.number("attention.head_count_kv", heads)
    kinds = _layer_kinds(keys, tensors)
    embedding = tensors.get("token_embd.weight", ())
    if len(embedding) != 2:
        raise ModelFormatError(
            f"{first.name}: the tensor 'token_embd.weight' is missing or no matrix; it is {embedding}"
        )
    shape = ModelShape(
        architecture=keys.architecture,
        hidden=hidden,
        layer_kinds=kinds,
        feed_forward=0 if keys.number("expert_count", 0) else keys.number("feed_forward_length"),
        vocabulary=embedding[1],
        context_tokens=keys.number("context_length"),
        query_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        rotary_dim=keys.number("rope.dimension_count", head_dim),
        output_gate=_has_output_gate(tensors, heads * head_dim),
        qk_norms=any(name.endswith(".attn_q_norm.weight") for name in tensors),
        tied="output.weight" not in tensors,
        delta=_delta(keys) if "delta" in kinds else None,
        moe=_moe(keys) if keys.number("expert_count", 0) else None,
    )
    _check_keys(first, tensors, shape)
    return shape


def _refuse_other_memory(header: GgufHeader, tensors: _Shapes) -> None:
    for name in tensors:
        if name.endswith(_OTHER_MEMORY):
            raise ModelFormatError(
                f"{header.name}: the tensor {name!r} belongs to a kind of layer whose memory is not known here; plans "
                "are made for attention and Gated DeltaNet layers"
            )


def _layer_kinds(keys: _Keys, tensors: _Shapes) -> tuple[LayerKind, ...]:
    """By the tensors: a layer with a convolution is DeltaNet. Layers that predict further tokens are left out."""
    layers = keys.number("block_count") - keys.number("nextn_predict_layers", 0)
    return tuple("delta" if f"blk.{layer}.ssm_conv1d.weight" in tensors else "full" for layer in range(layers))


def _has_output_gate(tensors: _Shapes, query_size: int) -> bool:
    queries = next((shape for name, shape in tensors.items() if name.endswith(".attn_q.weight")), ())
    return len(queries) == 2 and queries[1] == 2 * query_size


def _delta(keys: _Keys) -> DeltaShape:
    value_heads = keys.number("ssm.time_step_rank")
    return DeltaShape(
        key_heads=keys.number("ssm.group_count"),
        value_heads=value_heads,
        key_dim=keys.number("ssm.state_size"),
        value_dim=keys.number("ssm.inner_size") // value_heads,
        conv_width=keys.number("ssm.conv_kernel"),
    )


def _moe(keys: _Keys) -> MoeShape:
    return MoeShape(
        experts=keys.number("expert_count"),
        experts_per_token=keys.number("expert_used_count"),
        expert_size=keys.number("expert_feed_forward_length"),
        shared_expert_size=keys.number("expert_shared_feed_forward_length", 0),
    )


def _check_keys(header: GgufHeader, tensors: _Shapes, shape: ModelShape) -> None:
    """Refuse where a layer's keys and values are of another width than the sizes say."""
    for layer, kind in enumerate(shape.layer_kinds):
        for letter in ("k", "v"):
            found = tensors.get(f"blk.{layer}.attn_{letter}.weight")
            if kind == "full" and found is not None and found[-1] != shape.kv_size:
                raise ModelFormatError(
                    f"{header.name}: blk.{layer}.attn_{letter}.weight has {found[-1]} rows and the metadata says "
                    f"{shape.kv_heads} heads of {shape.head_dim}; plans are made for models whose layers are alike"
                )
