"""Judged rows as matrices of zeros and ones, as scikit-learn's metrics take them.

    N documents    C classes: labels that occur in gold or predictions    +1 a last column that is no class

A row without a label has its only one in the last column of ``said``, so it is wrong and adds to no class.
One that fits no label has none in ``gold``, so it is wrong whatever is said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from thresher.evaluation.gold import Judged
from thresher.evaluation.question import QuestionFacts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """Gold and predicted labels of N documents."""

    classes: tuple[str, ...]  # in the task's order, then those of the gold labels only
    gold_nc1: csr_matrix
    said_nc1: csr_matrix
    right_n: np.ndarray[Any, Any]  # bool: exactly the gold labels were given

    @property
    def documents(self) -> int:
        """N."""
        return len(self.right_n)

    def of(self, rows: np.ndarray[Any, Any]) -> Encoded:
        """Only these rows (bool or positions), with all classes."""
        return Encoded(
            classes=self.classes,
            gold_nc1=self.gold_nc1[rows],
            said_nc1=self.said_nc1[rows],
            right_n=self.right_n[rows],
        )

    def occurring(self) -> list[int]:
        """Classes that occur in gold or predictions, by position."""
        counts = np.asarray(self.gold_nc1.sum(axis=0) + self.said_nc1.sum(axis=0)).ravel()[:-1]
        return [int(place) for place in np.flatnonzero(counts)]


def encode(judged: Sequence[Judged], question: QuestionFacts, name_of: Callable[[str], str] = str) -> Encoded:
    """The rows encoded, each label as ``name_of`` calls it."""
    gold = [frozenset(map(name_of, entry.gold)) for entry in judged]
    said = [None if entry.said is None else frozenset(map(name_of, entry.said)) for entry in judged]
    found = set[str]().union(*gold, *(labels for labels in said if labels is not None))
    ordered = dict.fromkeys(map(name_of, question.labels))
    classes = (*(label for label in ordered if label in found), *sorted(found - ordered.keys()))
    place = {label: number for number, label in enumerate(classes)}
    nothing = len(classes)
    return Encoded(
        classes=classes,
        gold_nc1=_indicators([[place[label] for label in labels] for labels in gold], nothing + 1),
        said_nc1=_indicators(
            [[nothing] if labels is None else [place[label] for label in labels] for labels in said], nothing + 1
        ),
        right_n=np.array([s == g for s, g in zip(said, gold, strict=True)], dtype=bool),
    )


def _indicators(places: Iterable[Sequence[int]], columns: int) -> csr_matrix:
    listed = [sorted(row) for row in places]
    ends = np.cumsum([0, *map(len, listed)])
    flat = np.array([column for row in listed for column in row], dtype=np.int64)
    return csr_matrix((np.ones(len(flat), dtype=np.int64), flat, ends), shape=(len(listed), columns))
