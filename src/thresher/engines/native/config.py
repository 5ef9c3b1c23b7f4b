"""What a model computes: the sizes and switches of one language model, as its own files state them.

Nothing here has a default that a file could contradict: the readers (:mod:`.config_json`, :mod:`.config_gguf`) refuse,
naming the key, what is missing or what would change the arithmetic in a way that is not built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thresher.models.shape import DeltaShape, LayerKind, MoeShape, every_nth_full

Family = Literal["qwen3", "qwen3_moe", "qwen3_5", "qwen3_5_moe"]
__all__ = ["DeltaConfig", "Family", "LayerKind", "MoeConfig", "NativeConfig", "every_nth_full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaConfig(DeltaShape):
    """Sizes of a Gated DeltaNet layer. Value head ``j`` reads key head ``j // (value_heads // key_heads)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoeConfig(MoeShape):
    """Sizes of a mixture of experts; the router takes the softmax over all experts before it picks."""

    normalize_top_k: bool  # the picked experts' probabilities are scaled to sum to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeConfig:
    """One language model. All projections are without bias, the feed-forward is SwiGLU, queries and keys are normed."""

    family: Family
    hidden_size: int
    layer_count: int
    layer_kinds: tuple[LayerKind, ...]
    intermediate_size: int  # of the dense feed-forward; 0 where every layer is a mixture of experts
    vocabulary_size: int  # rows of the embedding, unused ones included
    rms_norm_eps: float
    norm_offset: float  # 1.0 where a norm multiplies by (1 + w), else 0.0; never added in ``linear_attn.norm``
    query_heads: int
    kv_heads: int
    head_dim: int
    rotary_dim: int  # of head_dim; plain rotate-half RoPE over these first dimensions
    rope_theta: float
    output_gate: bool  # q_proj yields [query | gate] per head
    tied_embeddings: bool  # there is no lm_head.weight: the head is embed_tokens.weight
    delta: DeltaConfig | None  # None where every layer is full attention
    moe: MoeConfig | None  # None where the feed-forward is dense
