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

    #: What the gates are made of is not rounded to 8 bits.
    reads_plain = True

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

    def add_to(self, total: torch.Tensor, h: Normed, view: StepView, memory: Memory, *, pruned: bool) -> None:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`."""
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
        if not pruned:
            self._add_output(total, out, h_all)
        elif len(total):
            self._add_output(total, out[view.wanted_rows], h_all.picked(view.wanted_rows))

    def _add_output(self, total: torch.Tensor, out: torch.Tensor, h: Activation) -> None:
        parts = self._parts
        linear = parts.linear("linear_attn.out_proj")
        gate = parts.linear("linear_attn.in_proj_z")(h)
        scale, eps = parts.vector("linear_attn.norm.weight"), self._config.rms_norm_eps
        rows = activation(linear, lambda quantize: gated_norm(out, gate, scale, eps, quantize=quantize), out.dtype)
        linear.add_to(total, rows)
