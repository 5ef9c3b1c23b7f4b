"""The gated delta rule, token by token as it is written."""

from __future__ import annotations

import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs


def run(inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`~thresher.engines.native.kernels.delta_rule.contract.DeltaRuleKernel`."""
    repeats = inputs.values.shape[1] // inputs.keys.shape[1]
    queries = inputs.queries.float().repeat_interleave(repeats, dim=1)
    keys = inputs.keys.float().repeat_interleave(repeats, dim=1)
    values = inputs.values.float()
    decays, rates = inputs.log_decays.exp(), inputs.rates
    states = inputs.states.clone()
    outputs = torch.empty_like(values)
    token = 0
    for sequence, length in enumerate(inputs.lengths):
        state = states[sequence]
        for _ in range(length):
            state.mul_(decays[token, :, None, None])
            known = torch.einsum("hkv,hk->hv", state, keys[token])
            update = rates[token, :, None] * (values[token] - known)
            state.add_(torch.einsum("hk,hv->hkv", keys[token], update))
            outputs[token] = torch.einsum("hkv,hk->hv", state, queries[token])
            token += 1
    return outputs.to(inputs.values.dtype), states
