"""Embedding and head: matrices with a row per token, kept on the device, in host memory, or read from the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.transfer import to_device
from thresher.engines.native.weights import WeightSource

EMBEDDING = "embed_tokens.weight"


def head_name(config: NativeConfig) -> str:
    """The tensor that the head multiplies by."""
    return EMBEDDING if config.tied_embeddings else "lm_head.weight"


class Table:
    """One matrix [vocabulary, hidden] of ``source``. ``device`` is where it is kept; None leaves it in its file."""

    def __init__(self, source: WeightSource, name: str, dtype: torch.dtype, device: torch.device | None) -> None:
        self._source = source
        self._name = name
        self._dtype = dtype
        self._kept = None if device is None else source.load(name, dtype, device)
        self.rows_count = source.shape(name)[0]

    def rows(self, tokens: npt.NDArray[np.int64]) -> torch.Tensor:
        """The rows of ``tokens`` [n, hidden], where the table is kept or on the CPU."""
        if self._kept is not None:
            return self._kept[to_device(tokens, self._kept.device)]
        distinct, places = np.unique(tokens, return_inverse=True)
        return self._source.load_rows(self._name, torch.from_numpy(distinct), self._dtype)[torch.from_numpy(places)]

    def chunks(self, rows: int) -> Iterator[torch.Tensor]:
        """All rows in order, so many at a time."""
        for start in range(0, self.rows_count, rows):
            stop = min(start + rows, self.rows_count)
            if self._kept is not None:
                yield self._kept[start:stop]
            else:
                yield self._source.load_rows(self._name, torch.arange(start, stop), self._dtype)
