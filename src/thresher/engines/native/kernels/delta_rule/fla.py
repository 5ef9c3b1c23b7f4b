"""The gated delta rule on CUDA with flash-linear-attention's Triton kernels (package ``fla-core``, MIT licence)."""

from __future__ import annotations

import importlib.metadata
from functools import lru_cache

import numpy as np
import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs
from thresher.engines.native.kernels.sequences import sequence_offsets
from thresher.engines.native.transfer import to_device

#: Older ones may not take more value heads than key heads.
_LEAST_VERSION = (0, 6)
_CHUNK = 64
_KEPT = 64


def can_run() -> bool:
    """Whether a package new enough is installed; it is not imported, because that takes seconds."""
    try:
        major, minor = importlib.metadata.version("fla-core").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= _LEAST_VERSION


def run(inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`~thresher.engines.native.kernels.delta_rule.contract.DeltaRuleKernel`."""
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    dtype = inputs.values.dtype
    offsets = sequence_offsets(inputs.lengths, inputs.values.device)
    outputs, states = chunk_gated_delta_rule(
        inputs.queries.to(dtype)[None],
        inputs.keys.to(dtype)[None],
        inputs.values[None],
        g=inputs.log_decays[None],
        beta=inputs.rates[None],
        scale=1.0,
        initial_state=inputs.states,
        output_final_state=True,
        cu_seqlens=offsets,
        chunk_indices=_chunks(tuple(inputs.lengths), inputs.values.device),
    )
    return outputs[0], states


@lru_cache(maxsize=_KEPT)
def _chunks(lengths: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """[chunks, 2]: the sequence of every chunk and its number there; made once for all layers, without a wait."""
    pairs = [(number, chunk) for number, length in enumerate(lengths) for chunk in range(-(-length // _CHUNK))]
    return to_device(np.array(pairs, dtype=np.int64), device)
