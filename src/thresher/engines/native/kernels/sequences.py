"""Where sequences that follow one another lie, as a tensor on the device that computes.

It is made once per step of a pack and kept for all layers: a copy from the host makes the device wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from thresher.engines.native.transfer import to_device

_KEPT = 64


def sequence_offsets(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """Rows where sequences of ``lengths`` start, and how many there are in all, int64 [N + 1]; the same tensor for the
    same lengths, as long as it is in use.
    """
    return _offsets(tuple(lengths), device)


@lru_cache(maxsize=_KEPT)
def _offsets(lengths: tuple[int, ...], device: torch.device) -> torch.Tensor:
    counts = np.array(lengths, dtype=np.int64)
    return to_device(np.concatenate([[0], counts.cumsum()]), device)
