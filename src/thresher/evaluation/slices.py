"""The same question asked of parts: by length of the document, by status of the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresher.evaluation.bounds import clopper_pearson
from thresher.evaluation.gold import Judged

_LENGTHS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the rows; one without a label counts as wrong."""

    name: str
    documents: int
    answered: int
    right: int
    accuracy: float  # right of all documents of the slice
    accuracy_exact: tuple[float, float]  # Clopper and Pearson, 95%


def by_status(judged: Sequence[Judged]) -> tuple[Slice, ...]:
    """A slice for each status that occurs."""
    statuses = sorted({entry.row.status for entry in judged})
    return tuple(_slice(status, [entry for entry in judged if entry.row.status == status]) for status in statuses)


def by_length(judged: Sequence[Judged]) -> tuple[Slice, ...]:
    """Quarters of the documents by their tokens, equal lengths together; those that were never counted stand last."""
    counted = [(entry.row.document_tokens, entry) for entry in judged if entry.row.document_tokens is not None]
    if not counted:
        return ()
    quantiles = np.quantile([tokens for tokens, _ in counted], np.linspace(0, 1, _LENGTHS + 1)[1:], method="higher")
    slices, low = [], 0
    for high in sorted(set(map(int, quantiles))):
        inside = [entry for tokens, entry in counted if low <= tokens <= high]
        slices.append(_slice(f"{low:,} to {high:,} tokens", inside))
        low = high + 1
    unknown = [entry for entry in judged if entry.row.document_tokens is None]
    return (*slices, _slice("not tokenized", unknown)) if unknown else tuple(slices)


def _slice(name: str, rows: Sequence[Judged]) -> Slice:
    right = sum(entry.right for entry in rows)
    return Slice(
        name=name,
        documents=len(rows),
        answered=sum(entry.said is not None for entry in rows),
        right=right,
        accuracy=right / len(rows),
        accuracy_exact=clopper_pearson(right, len(rows)),
    )
