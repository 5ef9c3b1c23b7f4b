"""Full attention: normed queries and keys, partial rotary positions, grouped key heads, an output gate."""

from __future__ import annotations

from typing import cast

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.kernels.attention import AttentionKernel, KeysValues
from thresher.engines.native.layers.memory import AttentionMemory, HeldLayer, Memory
from thresher.engines.native.layers.norm import rms_norm
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.layers.rope import rotate
from thresher.engines.native.linear import Activation
from thresher.engines.native.step_view import StepView


class Attention:
    """One layer's attention."""

    def __init__(self, config: NativeConfig, parts: Parts, kernel: AttentionKernel) -> None:
        self._config = config
        self._parts = parts
        self._kernel = kernel

    def memory(self, rows: int, held: HeldLayer | None, dtype: torch.dtype, device: torch.device) -> AttentionMemory:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
        return AttentionMemory(self._config, rows, dtype, device, cast(KeysValues | None, held))

    def __call__(self, h: torch.Tensor, view: StepView, memory: Memory, *, pruned: bool) -> torch.Tensor:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`; keys and values are made of all rows."""
        memory = cast(AttentionMemory, memory)
        config, parts = self._config, self._parts
        quantize = parts.linear("self_attn.k_proj").quantize_activation
        h_all = quantize(h)
        keys = parts.linear("self_attn.k_proj")(h_all).view(-1, config.kv_heads, config.head_dim)
        keys = rms_norm(keys, parts.norm("self_attn.k_norm"), config.rms_norm_eps)
        memory.pack.keys[view.start : view.stop] = rotate(keys, view.cos, view.sin)
        values = parts.linear("self_attn.v_proj")(h_all)
        memory.pack.values[view.start : view.stop] = values.view(-1, config.kv_heads, config.head_dim)
        if pruned and not len(view.wanted_rows):
            return h.new_empty(0, h.shape[1])  # no view, which would keep all of h
        queries, gate = self._queries(quantize(h[view.wanted_rows]) if pruned else h_all)
        cos, sin = (view.cos[view.wanted_rows], view.sin[view.wanted_rows]) if pruned else (view.cos, view.sin)
        pieces = view.wanted_pieces if pruned else view.pieces
        out = self._kernel(rotate(queries, cos, sin), pieces, memory.pack, memory.held)
        if gate is not None:
            out = out * torch.sigmoid(gate)
        return parts.linear("self_attn.o_proj")(out.reshape(len(out), -1))

    def _queries(self, h: Activation) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Normed queries and, where the model has one, their gate; both [rows, query_heads, head_dim]."""
        config = self._config
        projected = self._parts.linear("self_attn.q_proj")(h)
        gate = None
        if config.output_gate:
            projected, gate = projected.view(-1, config.query_heads, 2 * config.head_dim).chunk(2, dim=-1)
        queries = projected.reshape(-1, config.query_heads, config.head_dim)
        return rms_norm(queries, self._parts.norm("self_attn.q_norm"), config.rms_norm_eps), gate
