"""A question's rows as a guarantee sees them, in columns: a job may have millions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_KEY_BYTES = 32
#: How the column of labels says True, False and "nobody has labelled it".
RIGHT, WRONG, UNLABELLED = 1, 0, -1

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row as a guarantee sees it."""

    sample_key: str  # its place in the random order, settled before any label was seen; at most 32 letters of ASCII
    probability: float | None  # the model's own, raw; None where the row has no label
    right: bool | None = None  # None where nobody has labelled it; False where somebody tried and could not tell


class Candidates:
    """Rows collected one by one, 41 bytes each, then read as columns of N in the random order."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._probabilities = array("d")
        self._labels = array("b")

    @classmethod
    def of(cls, rows: Iterable[Candidate]) -> Self:
        """All of ``rows``."""
        found = cls()
        for row in rows:
            found.add(row)
        return found

    def add(self, row: Candidate) -> None:
        """One more row."""
        key = row.sample_key.encode("ascii")
        if len(key) > _KEY_BYTES:
            raise ValueError(f"the sample key {row.sample_key!r} has over {_KEY_BYTES} letters")
        self._keys += key.ljust(_KEY_BYTES, b"\0")
        self._probabilities.append(math.nan if row.probability is None else row.probability)
        self._labels.append(UNLABELLED if row.right is None else int(row.right))

    def columns(self) -> Columns:
        """The rows so far in the random order."""
        key_n = np.frombuffer(bytes(self._keys), dtype=f"S{_KEY_BYTES}")
        order = np.argsort(key_n, kind="stable")
        return Columns(
            key_n=key_n[order],
            probability_n=np.array(self._probabilities)[order],
            label_n=np.array(self._labels, dtype=np.int8)[order],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """N rows in the random order."""

    key_n: Array  # bytes, ascending
    probability_n: Array  # NaN where the row has no label
    label_n: Array  # int8: RIGHT, WRONG or UNLABELLED

    def place(self, sample_key: str) -> int | None:
        """Where the row with this key is; None where there is none."""
        key = np.bytes_(sample_key.encode("ascii"))
        place = int(np.searchsorted(self.key_n, key))
        return place if place < len(self.key_n) and self.key_n[place] == key else None
