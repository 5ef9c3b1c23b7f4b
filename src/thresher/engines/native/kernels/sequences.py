"""Where sequences that follow one another lie, as tensors on the device that computes.

They are made once per step of a pack and kept for all layers: a copy from the host makes the device wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from thresher.engines.native.transfer import to_device

_KEPT = 64


@dataclass(frozen=True, slots=True)
class Places:
    """N sequences of T tokens in all."""

    offsets: torch.Tensor  # int64 [N + 1]: rows where they start, and T
    numbers: torch.Tensor  # int32 [T]: the sequence of each row
    within: torch.Tensor  # int32 [T]: its place in its sequence


def places(lengths: Sequence[int], device: torch.device) -> Places:
    """Of sequences of ``lengths``; the same object for the same lengths, as long as it is in use."""
    return _places(tuple(lengths), device)


@lru_cache(maxsize=_KEPT)
def _places(lengths: tuple[int, ...], device: torch.device) -> Places:
    counts = np.array(lengths, dtype=np.int64)
    offsets = np.concatenate([[0], counts.cumsum()])
    numbers = np.repeat(np.arange(len(lengths)), counts)
    within = np.arange(offsets[-1]) - offsets[numbers]
    return Places(
        to_device(offsets, device),
        to_device(numbers.astype(np.int32), device),
        to_device(within.astype(np.int32), device),
    )
