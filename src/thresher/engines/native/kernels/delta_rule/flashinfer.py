"""The gated delta rule on CUDA with FlashInfer's kernels (package ``flashinfer-python``, Apache-2.0).

One program carries the state of one head through one sequence and keeps it on chip, so nothing but the inputs and the
outputs passes through memory. FlashInfer compiles the kernel when it is first used, for which it needs ``nvcc`` and
many minutes (its package ``flashinfer-jit-cache`` brings it compiled). FlashInfer 0.6.13 allows the kernel its shared
memory once per process, for the device that comes first: on others it cannot run.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Timer

import torch

from thresher.engines.native.kernels.delta_rule.contract import DeltaRuleInputs
from thresher.engines.native.kernels.sequences import sequence_offsets

logger = logging.getLogger(__name__)

#: The only key and value dimension that the kernels are made for.
_SIZE = 128
#: A kernel that is there runs sooner than this.
_COMPILES_AFTER_S = 5.0


@cache
def can_run(device: torch.device) -> bool:
    """Whether it is installed, made for the card and can be compiled; tried once, on a sequence of one token."""
    if importlib.util.find_spec("flashinfer") is None:
        return False
    try:
        with _told_of_compiling(), torch.cuda.device(device):  # where it launches
            run(_one_token(device))
            torch.cuda.synchronize(device)
    except Exception as error:  # noqa: BLE001 - whatever a missing compiler or another version raises
        reason = str(error).strip() or repr(error)
        logger.warning("FlashInfer is installed, but its delta rule cannot run on %s: %s", device, reason)
        return False
    return True


@contextmanager
def _told_of_compiling() -> Iterator[None]:
    """Nobody should take the minutes of a compiler for a hang."""
    message = "FlashInfer compiles its delta rule, once for this machine and version; that can take ten minutes"
    timer = Timer(_COMPILES_AFTER_S, logger.warning, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def takes(key_dim: int, value_dim: int) -> bool:
    """Whether the kernels are made for heads of these sizes."""
    return key_dim == value_dim == _SIZE


def run(inputs: DeltaRuleInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """See :class:`~thresher.engines.native.kernels.delta_rule.contract.DeltaRuleKernel`; its states are [V, K]."""
    from flashinfer.gdn_prefill import chunk_gated_delta_rule

    dtype = inputs.values.dtype
    outputs, states = chunk_gated_delta_rule(
        inputs.queries.to(dtype),
        inputs.keys.to(dtype),
        inputs.values,
        g=inputs.log_decays.exp(),
        beta=inputs.rates,
        scale=1.0,
        initial_state=inputs.states.transpose(-1, -2).contiguous(),
        output_final_state=True,
        cu_seqlens=sequence_offsets(inputs.lengths, inputs.values.device),
    )
    return outputs, states.transpose(-1, -2)


def _one_token(device: torch.device) -> DeltaRuleInputs:
    heads = torch.ones(1, 2, _SIZE, dtype=torch.bfloat16, device=device)
    ones = torch.ones(1, 2, device=device)
    return DeltaRuleInputs(
        queries=heads[:, :1].contiguous(),
        keys=heads[:, :1].contiguous(),
        values=heads,
        log_decays=-ones,
        rates=ones,
        lengths=(1,),
        states=torch.zeros(1, 2, _SIZE, _SIZE, device=device),
    )
