"""Every tensor of a model of a given shape, and the part of the model that a stored tensor belongs to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from thresher.models.shape import DeltaShape, ModelShape, MoeShape

Part = Literal["embedding", "head", "attention", "deltanet", "feed-forward", "experts", "other"]
PARTS: tuple[Part, ...] = get_args(Part)

#: The part of a stored tensor by its name, in llama.cpp's names and in checkpoints'; the first that matches counts.
_PARTS_BY_NAME: Mapping[str, Part] = {
    r"token_embd\.|embed_tokens\.": "embedding",
    r"^output\.weight|lm_head\.": "head",
    r"norm|\.ffn_gate_inp|mlp\.gate\.|shared_expert_gate|rope_freqs": "other",
    r"_exps\.|\.experts\.": "experts",
    r"_shexp\.|shared_expert\.": "feed-forward",
    r"\.ssm_|linear_attn\.|\.attn_gate\.|\.attn_qkv\.": "deltanet",
    r"\.attn_|self_attn\.": "attention",
    r"\.ffn_|\.mlp\.": "feed-forward",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One tensor, or ``copies`` alike. A matrix is (out, in), as in a checkpoint."""

    part: Part
    layer: int | None
    name: str  # of the checkpoint, below its layer
    shape: tuple[int, ...]
    copies: int = 1

    @property
    def elements(self) -> int:
        """Values in all copies."""
        return self.copies * math.prod(self.shape)

    @property
    def is_matrix(self) -> bool:
        """Whether tokens are multiplied by it, rather than scaled or convolved."""
        return len(self.shape) == 2 and "conv1d" not in self.name


def weights_of(shape: ModelShape) -> Iterator[Weight]:
    """All tensors, in the order of the forward pass (MODEL.md, "Checkpoint layout")."""
    yield Weight(part="embedding", layer=None, name="embed_tokens", shape=(shape.vocabulary, shape.hidden))
    for layer in range(shape.layers):
        yield from layer_weights(shape, layer)
    yield Weight(part="other", layer=None, name="norm", shape=(shape.hidden,))
    if not shape.tied:
        yield Weight(part="head", layer=None, name="lm_head", shape=(shape.vocabulary, shape.hidden))


def layer_weights(shape: ModelShape, layer: int) -> Iterator[Weight]:
    """The tensors of one layer."""
    for norm in ("input_layernorm", "post_attention_layernorm"):
        yield Weight(part="other", layer=layer, name=norm, shape=(shape.hidden,))
    if shape.layer_kinds[layer] == "delta" and shape.delta is not None:
        yield from _delta(shape.hidden, shape.delta, layer)
    else:
        yield from _attention(shape, layer)
    if shape.moe is None:
        yield from _swiglu("mlp", "feed-forward", shape.hidden, shape.feed_forward, layer)
    else:
        yield from _mixture(shape.hidden, shape.moe, layer)


def part_of(name: str) -> Part:
    """The part of the model that a tensor of a file belongs to, by its name."""
    return next((part for pattern, part in _PARTS_BY_NAME.items() if re.search(pattern, name)), "other")


def _attention(shape: ModelShape, layer: int) -> Iterator[Weight]:
    queries = shape.query_size * (2 if shape.output_gate else 1)
    for name, matrix in {
        "q_proj": (queries, shape.hidden),
        "k_proj": (shape.kv_size, shape.hidden),
        "v_proj": (shape.kv_size, shape.hidden),
        "o_proj": (shape.hidden, shape.query_size),
    }.items():
        yield Weight(part="attention", layer=layer, name=f"self_attn.{name}", shape=matrix)
    if shape.qk_norms:
        for name in ("q_norm", "k_norm"):
            yield Weight(part="other", layer=layer, name=f"self_attn.{name}", shape=(shape.head_dim,))


def _delta(hidden: int, delta: DeltaShape, layer: int) -> Iterator[Weight]:
    for name, tensor in {
        "in_proj_qkv": (delta.conv_channels, hidden),
        "in_proj_z": (delta.value_size, hidden),
        "in_proj_a": (delta.value_heads, hidden),
        "in_proj_b": (delta.value_heads, hidden),
        "conv1d": (delta.conv_channels, delta.conv_width),
        "A_log": (delta.value_heads,),
        "dt_bias": (delta.value_heads,),
        "norm": (delta.value_dim,),
        "out_proj": (hidden, delta.value_size),
    }.items():
        part: Part = "other" if name == "norm" else "deltanet"
        yield Weight(part=part, layer=layer, name=f"linear_attn.{name}", shape=tensor)


def _mixture(hidden: int, moe: MoeShape, layer: int) -> Iterator[Weight]:
    yield Weight(part="other", layer=layer, name="mlp.gate", shape=(moe.experts, hidden))
    for name, matrix in {"gate_up_proj": (2 * moe.expert_size, hidden), "down_proj": (hidden, moe.expert_size)}.items():
        yield Weight(part="experts", layer=layer, name=f"mlp.experts.{name}", shape=matrix, copies=moe.experts)
    if moe.shared_expert_size:
        yield from _swiglu("mlp.shared_expert", "feed-forward", hidden, moe.shared_expert_size, layer)
        yield Weight(part="other", layer=layer, name="mlp.shared_expert_gate", shape=(1, hidden))


def _swiglu(prefix: str, part: Part, hidden: int, size: int, layer: int) -> Iterator[Weight]:
    for name, matrix in {
        "gate_proj": (size, hidden),
        "up_proj": (size, hidden),
        "down_proj": (hidden, size),
    }.items():
        yield Weight(part=part, layer=layer, name=f"{prefix}.{name}", shape=matrix)
