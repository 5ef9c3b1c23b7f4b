"""Gated DeltaNet: a short causal convolution, the gated delta rule, a gated norm."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from thresher.engines.native.config import DeltaConfig, NativeConfig
from thresher.engines.native.kernels.delta_rule import DeltaRuleInputs, DeltaRuleKernel
from thresher.engines.native.layers.conv import causal_conv
from thresher.engines.native.layers.memory import DeltaMemory, DeltaState, HeldLayer, Memory
from thresher.engines.native.layers.norm import l2_norm, rms_norm
from thresher.engines.native.layers.parts import Parts
from thresher.engines.native.linear import Activation
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

    def __call__(self, h: torch.Tensor, view: StepView, memory: Memory, *, pruned: bool) -> torch.Tensor:
        """See :class:`~thresher.engines.native.layers.mixer.Mixer`; the state takes all rows."""
        memory = cast(DeltaMemory, memory)
        delta, parts = self._delta, self._parts
        quantize = parts.linear("linear_attn.in_proj_qkv").quantize_activation
        h_all = quantize(h)
        lengths = [span.length for span in view.spans]
        before = memory.before(view.sources)
        projected = parts.linear("linear_attn.in_proj_qkv")(h_all)
        mixed, tails = causal_conv(
            projected, parts.vector("linear_attn.conv1d.weight").squeeze(1), before.tail, lengths
        )
        del projected
        rates = torch.sigmoid(parts.linear("linear_attn.in_proj_b")(h).float())
        steps = F.softplus(parts.linear("linear_attn.in_proj_a")(h).float() + parts.vector("linear_attn.dt_bias"))
        queries, keys, values = mixed.split([delta.key_size, delta.key_size, delta.value_size], dim=-1)  # type: ignore[no-untyped-call]
        out, states = self._kernel(
            DeltaRuleInputs(
                queries=l2_norm(queries.view(-1, delta.key_heads, delta.key_dim)).mul_(delta.key_dim**-0.5),
                keys=l2_norm(keys.view(-1, delta.key_heads, delta.key_dim)),
                values=values.view(-1, delta.value_heads, delta.value_dim),
                log_decays=parts.vector("linear_attn.A_log").exp().neg() * steps,
                rates=rates,
                lengths=lengths,
                states=before.recurrent,
            )
        )
        memory.keep(view.spans, DeltaState(states, tails))
        if pruned and not len(view.wanted_rows):
            return h.new_empty(0, h.shape[1])  # no view, which would keep all of h
        if pruned:
            return self._gated(out[view.wanted_rows], quantize(h[view.wanted_rows]))
        return self._gated(out, h_all)

    def _gated(self, out: torch.Tensor, h: Activation) -> torch.Tensor:
        normed = rms_norm(out, self._parts.vector("linear_attn.norm.weight"), self._config.rms_norm_eps)
        gate = F.silu(self._parts.linear("linear_attn.in_proj_z")(h))
        return self._parts.linear("linear_attn.out_proj")(normed.reshape(len(out), -1) * gate)
