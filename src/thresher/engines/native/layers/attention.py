"""Full attention: normed queries and keys, partial rotary positions, grouped key heads, an output gate."""

from __future__ import annotations

from typing import cast

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.kernels.attention import AttentionKernel, KeysValues
from thresher.engines.native.kernels.gate import sigmoid_gate
from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rotate import norm_rotate
from thresher.engines.native.kernels.rows import Rows, activation
from thresher.engines.native.layers.memory import AttentionMemory, HeldLayer, Memory
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Activation, Linear
from thresher.engines.native.step_view import StepView


class Attention:
    """One layer's attention."""

    reads_plain = False

    def __init__(self, config: NativeConfig, parts: Parts, kernel: AttentionKernel) -> None:
        self._config = config
        self._parts = parts
        self._kernel = kernel

    def memory(self, rows: int, held: HeldLayer | None, dtype: torch.dtype, device: torch.device) -> AttentionMemory:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
        return AttentionMemory(self._config, rows, dtype, device, cast(KeysValues | None, held))

    @property
    def reads(self) -> Linear:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
        return self._parts.linear("self_attn.k_proj")

    def add_to(self, total: torch.Tensor, h: Normed, view: StepView, memory: Memory, *, pruned: bool) -> None:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`; keys and values are made of all rows."""
        memory = cast(AttentionMemory, memory)
        parts = self._parts
        h_all = h.activation(self.reads)
        own = memory.of_rows(view.start, view.stop)
        keys = parts.linear("self_attn.k_proj")(h_all).view(own.keys.shape)
        self._rotate("self_attn.k_norm", keys, view.cos, view.sin, own.keys)
        parts.linear("self_attn.v_proj").into(own.values.flatten(1), h_all)
        if not len(total):
            return
        h_wanted = h_all.picked(view.wanted_rows) if pruned else h_all
        cos, sin = (view.cos[view.wanted_rows], view.sin[view.wanted_rows]) if pruned else (view.cos, view.sin)
        queries, gate = self._queries(h_wanted, cos, sin)
        out = self._kernel(queries, view.wanted_pieces if pruned else view.pieces, memory.seen)
        self._add_output(total, out, gate)

    def _queries(self, h: Activation, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Queries ready for attention and, where the model has one, their gate; both [rows, query_heads, head_dim]."""
        config = self._config
        projected = self._parts.linear("self_attn.q_proj")(h).view(len(h.values), config.query_heads, -1)
        gate = projected[..., config.head_dim :] if config.output_gate else None
        queries = torch.empty(
            len(projected), config.query_heads, config.head_dim, dtype=projected.dtype, device=projected.device
        )
        self._rotate("self_attn.q_norm", projected[..., : config.head_dim], cos, sin, queries)
        return queries, gate

    def _rotate(self, norm: str, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, out: torch.Tensor) -> None:
        norm_rotate(x, self._parts.norm(norm), self._config.rms_norm_eps, cos, sin, out)

    def _add_output(self, total: torch.Tensor, out: torch.Tensor, gate: torch.Tensor | None) -> None:
        linear = self._parts.linear("self_attn.o_proj")
        if gate is None:
            linear.add_to(total, out.reshape(len(out), -1))
            return

        def gated(quantize: bool) -> Rows:
            return sigmoid_gate(out, gate, quantize=quantize)

        linear.add_to(total, activation(linear, gated, out.dtype))
