"""The gated delta rule on CUDA with flash-linear-attention's Triton kernels (package ``fla-core``, MIT licence)."""

from __future__ import annotations

import importlib.util
from itertools import accumulate

import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs


def can_run() -> bool:
    """Whether the package is installed; it is not imported, because that takes seconds."""
    return importlib.util.find_spec("fla") is not None


def run(inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`~thresher.engines.native.kernels.delta_rule.contract.DeltaRuleKernel`."""
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    repeats = inputs.values.shape[1] // inputs.keys.shape[1]
    dtype = inputs.values.dtype
    offsets = torch.tensor([0, *accumulate(inputs.lengths)], dtype=torch.long, device=inputs.values.device)
    outputs, states = chunk_gated_delta_rule(
        inputs.queries.to(dtype).repeat_interleave(repeats, dim=1)[None],
        inputs.keys.to(dtype).repeat_interleave(repeats, dim=1)[None],
        inputs.values[None],
        g=inputs.log_decays[None],
        beta=inputs.rates[None],
        scale=1.0,
        initial_state=inputs.states,
        output_final_state=True,
        cu_seqlens=offsets,
    )
    return outputs[0], states
