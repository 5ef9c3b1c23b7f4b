"""The sizes of a language model that decide what it costs: read from its own files, never from class defaults.

Wider than what one engine computes: any decoder of attention layers, or of attention and Gated DeltaNet layers, with a
dense SwiGLU feed-forward or a mixture of such experts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LayerKind = Literal["delta", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaShape:
    """Sizes of a Gated DeltaNet layer."""

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_width: int

    @property
    def key_size(self) -> int:
        """Width of all queries, and of all keys."""
        return self.key_heads * self.key_dim

    @property
    def value_size(self) -> int:
        """Width of all values."""
        return self.value_heads * self.value_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the convolution: queries, keys and values."""
        return 2 * self.key_size + self.value_size


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeShape:
    """Sizes of a mixture of experts."""

    experts: int
    experts_per_token: int
    expert_size: int
    shared_expert_size: int  # 0: none


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """One language model."""

    architecture: str  # ``model_type`` of a config.json, ``general.architecture`` of a GGUF file
    hidden: int
    layer_kinds: tuple[LayerKind, ...]
    feed_forward: int  # 0 where every layer is a mixture of experts
    vocabulary: int  # rows of the embedding
    context_tokens: int  # that it was trained for
    query_heads: int
    kv_heads: int
    head_dim: int
    rotary_dim: int
    output_gate: bool  # the queries' projection yields a gate beside each
    qk_norms: bool  # queries and keys are normed per head
    tied: bool  # embedding and head are one tensor
    delta: DeltaShape | None = None
    moe: MoeShape | None = None

    @property
    def layers(self) -> int:
        """Decoder layers."""
        return len(self.layer_kinds)

    @property
    def full_layers(self) -> int:
        """Layers with full attention, which keep keys and values."""
        return self.layer_kinds.count("full")

    @property
    def query_size(self) -> int:
        """Width of all queries of one layer."""
        return self.query_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Width of all keys of one layer, and of all values."""
        return self.kv_heads * self.head_dim


def every_nth_full(layers: int, interval: int) -> tuple[LayerKind, ...]:
    """The kinds of layers where each ``interval``-th, counted from 1, is full attention and the others DeltaNet."""
    kinds: list[LayerKind] = ["full" if (layer + 1) % interval == 0 else "delta" for layer in range(layers)]
    return tuple(kinds)
