"""The demo model's sizes: a small Qwen3.5 text model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Sizes of a dense hybrid Qwen3.5 model. Every ``full_attention_interval``-th layer is full attention."""

    vocabulary: int = 20480
    hidden: int = 256
    layers: int = 8
    full_attention_interval: int = 2
    feed_forward: int = 512
    query_heads: int = 4
    kv_heads: int = 2
    head_dim: int = 128
    rotary_dim: int = 32
    rotary_base: float = 1e6
    rotary_sections: tuple[int, int, int, int] = (6, 5, 5, 0)
    key_heads: int = 2
    value_heads: int = 4
    delta_dim: int = 64  # llama.cpp wants one size for DeltaNet keys and values
    conv_width: int = 4
    norm_eps: float = 1e-6
    context: int = 32768

    @property
    def key_size(self) -> int:
        return self.key_heads * self.delta_dim

    @property
    def value_size(self) -> int:
        return self.value_heads * self.delta_dim

    def is_full_attention(self, layer: int) -> bool:
        """Whether the zero-based ``layer`` is full attention rather than Gated DeltaNet."""
        return (layer + 1) % self.full_attention_interval == 0
