"""One decoder layer: mixer and feed-forward, each behind a norm and added to the residual stream."""

from __future__ import annotations

import torch

from thresher.engines.native.config import LayerKind, NativeConfig
from thresher.engines.native.kernels.attention import choose_attention
from thresher.engines.native.kernels.delta_rule import choose_delta_rule
from thresher.engines.native.kernels.norm import Normed, norm
from thresher.engines.native.kernels.rows import quantizes
from thresher.engines.native.layers.attention import Attention
from thresher.engines.native.layers.deltanet import DeltaNet
from thresher.engines.native.layers.memory import HeldLayer, Memory
from thresher.engines.native.layers.mixer import Mixer
from thresher.engines.native.layers.mlp import FeedForward, Mlp
from thresher.engines.native.layers.moe import Moe
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.step_view import StepView


class Layer:
    """A layer over weights that lie on ``device``; cheap to make, so that streamed weights get a new one."""

    def __init__(
        self, config: NativeConfig, kind: LayerKind, parts: Parts, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._config = config
        self._kind = kind
        self._parts = parts
        self._dtype = dtype
        self._device = device
        self._mixer: Mixer
        if kind == "delta" and config.delta is not None:
            kernel = choose_delta_rule(device, config.delta.key_dim, config.delta.value_dim)
            self._mixer = DeltaNet(config, config.delta, parts, kernel)
        else:
            self._mixer = Attention(config, parts, choose_attention(device, dtype))
        self._feed_forward: FeedForward = (
            Moe(config.moe, parts)
            if config.moe
            else Mlp(parts.linear("mlp.gate_up_proj"), parts.linear("mlp.down_proj"))
        )

    def prepared(self) -> Layer:
        """The layer ready to read a pack: what its precision expands has been, in memory that is free with it."""
        parts = self._parts.prepared()
        return self if parts is self._parts else Layer(self._config, self._kind, parts, self._dtype, self._device)

    def memory(self, rows: int, held: HeldLayer | None) -> Memory:
        """An empty memory for a pack of so many rows behind what this layer holds of the prefix."""
        return self._mixer.memory(rows, held, self._dtype, self._device)

    def __call__(self, x: torch.Tensor, view: StepView, memory: Memory, *, pruned: bool) -> torch.Tensor:
        """The residual stream [rows, hidden] after this layer, written over ``x``; pruned, of the wanted rows only."""
        h = self._normed(x, "input_layernorm", self._mixer)
        total = x[view.wanted_rows] if pruned else x
        self._mixer.add_to(total, h, view, memory, pruned=pruned)
        del h
        if len(total):
            self._feed_forward.add_to(total, self._normed(total, "post_attention_layernorm", self._feed_forward))
        return total

    def _normed(self, x: torch.Tensor, name: str, reader: Mixer | FeedForward) -> Normed:
        rounds = quantizes(reader.reads)
        plain = reader.reads_plain or not rounds
        return norm(x, self._parts.norm(name), self._config.rms_norm_eps, plain=plain, quantize=rounds)
