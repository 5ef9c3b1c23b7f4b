"""Gated DeltaNet: a short causal convolution, the gated delta rule, a gated norm."""

from __future__ import annotations

from typing import cast

import torch

from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.kernels.conv import causal_conv
from thresher.engines.native.kernels.delta_gates import delta_gates
from thresher.engines.native.kernels.delta_rule import DeltaRuleInputs, DeltaRuleKernel
from thresher.engines.native.kernels.gated_norm import gated_norm
from thresher.engines.native.kernels.norm import Normed
from thresher.engines.native.kernels.rows import activation
from thresher.engines.native.layers.memory import DeltaMemory, DeltaState, HeldLayer, Memory
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Activation, Linear
from thresher.engines.native.step_view import StepView


class DeltaNet:
    """One layer's Gated DeltaNet."""

    def __init__(self, config: NativeConfig, delta: DeltaConfig, parts: Parts, kernel: DeltaRuleKernel) -> None:
        self._config = config
        self._delta = delta
        self._parts = parts
        self._kernel = kernel

    def memory(
        self,
        rows: int,  # noqa: ARG002 - a state does not grow with them
        held: HeldLayer | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> DeltaMemory:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
        return DeltaMemory(self._delta, dtype, device, cast(DeltaState | None, held))

    @property
    def reads(self) -> Linear:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
        return self._parts.linear("linear_attn.in_proj_qkv")

    def __call__(self, h: Normed, view: StepView, memory: Memory, *, pruned: bool) -> torch.Tensor:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`; the state takes all rows."""
        memory = cast(DeltaMemory, memory)
        h_all = h.activation(self.reads)
        lengths = [span.length for span in view.spans]
        before = memory.before(view.sources)
        mixed = causal_conv(
            self.reads(h_all),
            self._parts.vector("linear_attn.conv1d.weight").squeeze(1),
            before.tail,
            lengths,
            key_heads=self._delta.key_heads,
            key_dim=self._delta.key_dim,
        )
        ab = self._parts.linear("linear_attn.in_proj_ab")(h.plain_rows())
        log_decays, rates = delta_gates(
            ab, self._parts.vector("linear_attn.A_log"), self._parts.vector("linear_attn.dt_bias")
        )
        out, states = self._kernel(
            DeltaRuleInputs(
                queries=mixed.queries,
                keys=mixed.keys,
                values=mixed.values.view(-1, self._delta.value_heads, self._delta.value_dim),
                log_decays=log_decays,
                rates=rates,
                lengths=lengths,
                states=before.recurrent,
            )
        )
        memory.keep(view.spans, DeltaState(states, mixed.tails))
        if pruned and not len(view.wanted_rows):
            return h.total.new_empty(0, h.total.shape[1])  # no view, which would keep all of h
        if pruned:
            return self._output(out[view.wanted_rows], self.reads.quantize_activation(h.plain_rows(view.wanted_rows)))
        return self._output(out, h_all)

    def _output(self, out: torch.Tensor, h: Activation) -> torch.Tensor:
        parts = self._parts
        linear = parts.linear("linear_attn.out_proj")
        gate = parts.linear("linear_attn.in_proj_z")(h)
        scale, eps = parts.vector("linear_attn.norm.weight"), self._config.rms_norm_eps
        return linear(
            activation(linear, lambda quantize: gated_norm(out, gate, scale, eps, quantize=quantize), out.dtype)
        )
