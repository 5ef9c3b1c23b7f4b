"""How one tensor of the engine comes from tensors in files: as it is, reordered, scaled, joined or stacked.

An entry loads all rows of its first dimension, or a list of them, reading no more than it must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from thresher.engines.native.weights.files import WeightFile

Rows = Sequence[int] | None  # None: all
Device = torch.device | str


class Entry(Protocol):
    """A tensor that can be loaded."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole tensor."""

    @property
    def stored_bytes(self) -> int:
        """Bytes in the files."""

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """[rows, ...]; a tensor of the caller's own."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as a file has it. ``decode(raw uint8 [bytes], dtype)`` gives the values of whole rows, flat."""

    file: WeightFile
    offset: int
    stored_bytes: int
    shape: tuple[int, ...]
    decode: Callable[[torch.Tensor, torch.dtype], torch.Tensor]

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """The bytes go to ``device`` as they are and are decoded there."""
        if rows is None:
            return self.decode(self.file.read(self.offset, self.stored_bytes).to(device), dtype).view(self.shape)
        raw = self.file.read_rows(self.offset, self.stored_bytes // self.shape[0], rows)
        return self.decode(raw.to(device), dtype).view(len(rows), *self.shape[1:])


@dataclass(frozen=True, slots=True)
class Mapped:
    """Another tensor's values, each changed by ``function`` in float32."""

    inner: Entry
    function: Callable[[torch.Tensor], torch.Tensor]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the other tensor."""
        return self.inner.shape

    @property
    def stored_bytes(self) -> int:
        """Of the other tensor."""
        return self.inner.stored_bytes

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """Rounded to ``dtype`` once, at the end."""
        return self.function(self.inner.load(rows, torch.float32, device)).to(dtype)


@dataclass(frozen=True, slots=True)
class Reordered:
    """Another tensor with its rows or its columns in another order: ours ``i`` is its ``order[i]``."""

    inner: Entry
    order: tuple[int, ...]
    columns: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the other tensor."""
        return self.inner.shape

    @property
    def stored_bytes(self) -> int:
        """Of the other tensor."""
        return self.inner.stored_bytes

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """Single rows are read from where they are."""
        if rows is not None and not self.columns:
            return self.inner.load([self.order[row] for row in rows], dtype, device)
        values = self.inner.load(rows, dtype, device)
        return values.index_select(int(self.columns), torch.tensor(self.order, device=values.device))


@dataclass(frozen=True, slots=True)
class Reshaped:
    """Another tensor in another shape with as many values, loaded as a whole."""

    inner: Entry
    shape: tuple[int, ...]

    @property
    def stored_bytes(self) -> int:
        """Of the other tensor."""
        return self.inner.stored_bytes

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """For small tensors: all of it is read."""
        values = self.inner.load(None, dtype, device).view(self.shape)
        return values if rows is None else values[torch.tensor(list(rows), dtype=torch.long, device=values.device)]


@dataclass(frozen=True, slots=True)
class Joined:
    """Tensors of one shape, side by side along their second dimension: [rows, sum of sizes, ...]."""

    parts: tuple[Entry, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The parts' own but for the second dimension."""
        rows, size, *rest = self.parts[0].shape
        return (rows, len(self.parts) * size, *rest)

    @property
    def stored_bytes(self) -> int:
        """Of all parts."""
        return sum(part.stored_bytes for part in self.parts)

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """The rows of every part."""
        return torch.cat([part.load(rows, dtype, device) for part in self.parts], dim=1)


@dataclass(frozen=True, slots=True)
class Stacked:
    """A new first dimension: item ``i`` is the tensors ``items[i]`` one below the other; all are of one shape."""

    items: tuple[tuple[Entry, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Items, rows of one item, the parts' own other dimensions."""
        rows, *rest = self.items[0][0].shape
        return (len(self.items), len(self.items[0]) * rows, *rest)

    @property
    def stored_bytes(self) -> int:
        """Of all items."""
        return sum(part.stored_bytes for item in self.items for part in item)

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """Only the items asked for are read."""
        wanted = range(len(self.items)) if rows is None else rows
        values = torch.empty(len(wanted), *self.shape[1:], dtype=dtype, device=device)
        for place, index in enumerate(wanted):
            torch.cat([part.load(None, dtype, device) for part in self.items[index]], out=values[place])
        return values


@dataclass(frozen=True, slots=True)
class BlockScaled:
    """A tensor of numbers whose last two dimensions are cut into blocks with a factor each (one for all: [1] or [])."""

    numbers: Entry
    scales: Entry
    block: tuple[int, int] | None  # None: one factor for the whole tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the numbers."""
        return self.numbers.shape

    @property
    def stored_bytes(self) -> int:
        """Of numbers and factors."""
        return self.numbers.stored_bytes + self.scales.stored_bytes

    def load(self, rows: Rows, dtype: torch.dtype, device: Device) -> torch.Tensor:
        """The product in float32, rounded to ``dtype``."""
        numbers = self.numbers.load(rows, torch.float32, device)
        if self.block is None:
            scales = self.scales.load(None, torch.float32, device).reshape(())
            return numbers.mul_(scales).to(dtype)
        scales = self._expanded(rows, device)
        return numbers.mul_(scales).to(dtype)

    def _expanded(self, rows: Rows, device: Device) -> torch.Tensor:
        """The factor of every number, [rows, ..., columns]."""
        block_rows, block_columns = self.block or (1, 1)
        *_, height, width = self.shape
        if len(self.shape) > 2:  # rows are experts
            scales = self.scales.load(rows, torch.float32, device)
            scales = scales.repeat_interleave(block_rows, dim=-2)[..., :height, :]
        else:
            wanted = range(height) if rows is None else rows
            scales = self.scales.load(None, torch.float32, device)
            scales = scales[torch.tensor([row // block_rows for row in wanted], dtype=torch.long, device=scales.device)]
        return scales.repeat_interleave(block_columns, dim=-1)[..., :width]


def scale_shape(shape: tuple[int, ...], block: tuple[int, int]) -> tuple[int, ...]:
    """The shape of the factors of a tensor of ``shape`` in blocks."""
    *first, height, width = shape
    return (*first, math.ceil(height / block[0]), math.ceil(width / block[1]))
