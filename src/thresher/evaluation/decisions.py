"""What is to be done with each document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from thresher.evaluation.candidates import UNLABELLED, Columns

Array = np.ndarray[Any, Any]
What = Literal["check", "labelled", "accept"]
#: In the order in which people want to see them; a column of N holds their places here.
WHATS: tuple[What, ...] = ("check", "labelled", "accept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done with one document."""

    decision: What
    check_order: int | None = None  # of those whose labels would prove more: which first


class Decisions:
    """What is to be done with each of N rows, by their sample keys, in a few bytes each."""

    def __init__(self, rows: Columns, threshold: float | None, to_label: Array) -> None:
        """``threshold``: accepted from this probability on. ``to_label``: places of rows, which first."""
        self._rows = rows
        self._what_n = np.zeros(len(rows.key_n), dtype=np.int8)
        if threshold is not None:  # NaN, of rows without a label, is below every threshold
            self._what_n[rows.probability_n >= threshold] = WHATS.index("accept")
        self._what_n[rows.label_n != UNLABELLED] = WHATS.index("labelled")
        self._order_n = np.zeros(len(rows.key_n), dtype=np.int32)
        self._order_n[to_label] = np.arange(1, len(to_label) + 1)

    def __len__(self) -> int:
        return len(self._what_n)

    def count(self, what: What) -> int:
        """With how many documents this is to be done."""
        return int((self._what_n == WHATS.index(what)).sum())

    def of(self, sample_key: str) -> Decision | None:
        """What is to be done with the row of this key; None where there was none."""
        place = self._rows.place(sample_key)
        if place is None:
            return None
        return Decision(decision=WHATS[self._what_n[place]], check_order=int(self._order_n[place]) or None)
