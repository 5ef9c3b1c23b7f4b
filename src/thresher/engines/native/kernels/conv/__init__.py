"""DeltaNet's short convolution over sequences that follow one another, and what comes right behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from thresher.engines.native.kernels.choice import implementation

__all__ = ["Convolved", "causal_conv"]


@dataclass(frozen=True, slots=True)
class Convolved:
    """Queries and keys are of unit length, queries times ``key_dim ** -0.5``; in float32 or the input's dtype."""

    queries: torch.Tensor  # [T, key_heads, key_dim]
    keys: torch.Tensor  # [T, key_heads, key_dim]
    values: torch.Tensor  # [T, the other channels]
    tails: torch.Tensor  # [N, width - 1, channels]: the last inputs of each sequence, those to its left counted


def causal_conv(
    x: torch.Tensor, taps: torch.Tensor, before: torch.Tensor, lengths: Sequence[int], *, key_heads: int, key_dim: int
) -> Convolved:
    """SiLU of the causal depthwise convolution of each sequence with its own left context.

    ``x`` [T, channels], contiguous, holds N sequences of ``lengths``, queries before keys before values; ``taps``
    [channels, width], the last for the row itself; ``before`` [N, width - 1, channels] are the inputs to the left.
    """
    operation = implementation("conv", x.device).causal_conv
    return operation(x, taps, before, lengths, key_heads=key_heads, key_dim=key_dim)  # type: ignore[no-any-return]
