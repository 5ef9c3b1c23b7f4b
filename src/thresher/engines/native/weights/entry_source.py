"""The :class:`~thresher.engines.native.weights.source.WeightSource` over entries from any kind of file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.weights.entries import Entry
from thresher.engines.native.weights.files import WeightFile
from thresher.engines.native.weights.layout import expected_shapes
from thresher.errors import ModelFormatError


class EntrySource:
    """Entries by the engine's names, and the files they read from."""

    def __init__(
        self, model_name: str, config: NativeConfig, entries: Mapping[str, Entry], files: Sequence[WeightFile]
    ) -> None:
        """Raises ``ModelFormatError`` unless the entries are the tensors that ``config`` promises, in their shapes."""
        self.config = config
        self._files = files
        self._entries: dict[str, Entry] = {}
        for name, shape in expected_shapes(config).items():
            entry = entries.get(name)
            if entry is None:
                raise ModelFormatError(
                    f"{model_name}: the tensor {name!r} of shape {shape} is missing; "
                    "the files are not those of one complete model"
                )
            if entry.shape != shape:
                raise ModelFormatError(
                    f"{model_name}: the tensor {name!r} has the shape {entry.shape}, and the model's config promises "
                    f"{shape}; weights and config are not of the same model"
                )
            self._entries[name] = entry

    def names(self) -> Iterable[str]:
        """See :class:`~thresher.engines.native.weights.source.WeightSource`, also below."""
        return self._entries.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self._entries[name].shape

    def load(self, name: str, dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
        """The whole tensor."""
        return self._entries[name].load(None, dtype, device)

    def load_rows(
        self,
        name: str,
        rows: torch.Tensor | Sequence[int],
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> torch.Tensor:
        """Rows of the first dimension; each different one is read once."""
        entry = self._entries[name]
        wanted = torch.as_tensor(rows, dtype=torch.long, device="cpu")
        if wanted.numel() == 0:
            return torch.empty(0, *entry.shape[1:], dtype=dtype, device=device)
        different, places = torch.unique(wanted, return_inverse=True)
        if different[0] < 0 or different[-1] >= entry.shape[0]:
            raise IndexError(f"{name} has {entry.shape[0]} rows, and not {int(different[0])} to {int(different[-1])}")
        loaded = entry.load(different.tolist(), dtype, device)
        return loaded[places.to(loaded.device)]

    def stored_bytes(self, name: str) -> int:
        """Bytes in the files."""
        return self._entries[name].stored_bytes

    def close(self) -> None:
        """Give the files back."""
        for file in self._files:
            file.close()
