"""Bytes of weight files, read where they are wanted.

Read and not mapped: a file that is cut while it is in use then ends in an error and not in a SIGBUS, and the bytes
go straight to where they are converted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from thresher.errors import ModelFormatError, ModelNotFoundError


class WeightFile:
    """One open file. Reading is safe from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Raises ``ModelNotFoundError`` when it cannot be opened."""
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ModelNotFoundError(f"{path}: cannot be read: {error.strerror or error}") from error

    def read(self, offset: int, size_bytes: int) -> torch.Tensor:
        """The bytes from ``offset`` on, as uint8 [size_bytes]. Raises ``ModelFormatError`` where there are fewer."""
        raw = torch.empty(size_bytes, dtype=torch.uint8)
        self._fill(raw.numpy().data, offset)
        return raw

    def read_rows(self, offset: int, row_bytes: int, rows: Sequence[int]) -> torch.Tensor:
        """These rows of a matrix of bytes that begins at ``offset``, as uint8 [len(rows) * row_bytes].

        Rows that follow one another in the file are read at once.
        """
        raw = torch.empty(len(rows) * row_bytes, dtype=torch.uint8)
        view = raw.numpy().data
        for place, stop in _runs(rows):
            self._fill(view[place * row_bytes : stop * row_bytes], offset + rows[place] * row_bytes)
        return raw

    def close(self) -> None:
        """Give the file back. May be called twice; reading afterwards raises ``ValueError``."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _fill(self, view: memoryview, offset: int) -> None:
        if self._descriptor < 0:
            raise ValueError(f"{self.path} is closed")
        done = 0
        while done < len(view):
            try:
                count = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise ModelFormatError(f"{self.path}: cannot be read: {error.strerror or error}") from error
            if count == 0:
                raise ModelFormatError(
                    f"{self.path}: the file ends at byte {offset + done:,} and {offset + len(view):,} are needed; "
                    "it was cut short after it was opened"
                )
            done += count


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where in ``rows`` each run of consecutive numbers starts and stops."""
    start = 0
    for place in range(1, len(rows) + 1):
        if place == len(rows) or rows[place] != rows[place - 1] + 1:
            yield start, place
            start = place
