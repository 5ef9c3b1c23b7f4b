"""Embedding and head: matrices with a row per token, kept on the device, in host memory, or read from the file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.kernels.lookup import lookup
from thresher.engines.native.pinned import PinnedMemory, pinned_copy
from thresher.engines.native.transfer import to_device
from thresher.engines.native.weights import WeightSource

EMBEDDING = "embed_tokens.weight"


def head_name(config: NativeConfig) -> str:
    """The tensor that the head multiplies by."""
    return EMBEDDING if config.tied_embeddings else "lm_head.weight"


class Table:
    """One matrix [vocabulary, hidden] of ``source``.

    ``kept_on`` is where it is kept; None leaves it in its file. In host memory it is pinned where ``read_by`` is a GPU.
    """

    def __init__(
        self,
        source: WeightSource,
        name: str,
        dtype: torch.dtype,
        kept_on: torch.device | None,
        read_by: torch.device | None = None,
    ) -> None:
        self._source = source
        self._name = name
        self._dtype = dtype
        self._kept = None if kept_on is None else source.load(name, dtype, kept_on).to(kept_on)
        self._pinned: PinnedMemory | None = None
        if self._kept is not None and (self._kept.device.type, read_by and read_by.type) == ("cpu", "cuda"):
            self._kept, self._pinned = pinned_copy(self._kept)
        self.rows_count = source.shape(name)[0]

    def rows(self, tokens: npt.NDArray[np.int64], device: torch.device) -> torch.Tensor:
        """The rows of ``tokens`` [n, hidden], on ``device``."""
        if self._kept is None:
            distinct, places = np.unique(tokens, return_inverse=True)
            found = self._source.load_rows(self._name, torch.from_numpy(distinct), self._dtype)
            return found[torch.from_numpy(places)].to(device)
        if self._kept.device.type == "cpu":
            return lookup(self._kept, tokens, device)
        return self._kept[to_device(tokens, self._kept.device)].to(device)

    def chunks(self, rows: int, device: torch.device) -> Iterator[torch.Tensor]:
        """All rows in order, so many at a time, on ``device``."""
        for start in range(0, self.rows_count, rows):
            stop = min(start + rows, self.rows_count)
            if self._kept is not None:
                yield self._kept[start:stop].to(device, non_blocking=True)
            else:
                yield self._source.load_rows(self._name, torch.arange(start, stop), self._dtype).to(device)

    def close(self) -> None:
        """Give pinned memory back; the table must not be used afterwards."""
        if self._pinned is not None:
            self._kept = None
            self._pinned.close()
            self._pinned = None
