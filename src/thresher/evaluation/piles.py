"""Piles of the most certain documents: what is proven of each, and what it would take."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from thresher.evaluation.betting import capital, labels_needed
from thresher.evaluation.candidates import RIGHT, UNLABELLED, Columns

_COVERAGES = tuple(step / 10 for step in range(1, 11))
STARTS = (0.1, 0.5, 1.0)
#: From so many labels on, what they say of a pile counts for plans, not what the model's probabilities say.
_TELLING_LABELS = 20

ProjectedFrom = Literal["labels", "probabilities", "none wrong"]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The pile of the most certain documents, down to a probability."""

    coverage: float  # share of the documents with a label
    threshold: float  # least probability in the pile
    documents: int
    mean_probability: float  # how many the model itself expects to be right
    labelled: int  # of the pile, in the random order without a gap
    wrong: int  # of those labelled
    capital: float  # largest so far; the pile is good enough once it reaches Acceptance.mark
    proven: bool
    needed: int | None  # labels in all, projected (see Acceptance); None where they would not do


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Documents to label next, by their places in the random order, and the pile that they would prove."""

    places: Array = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    threshold: float | None = None
    projected_from: ProjectedFrom | None = None


class Piles:
    """The nested piles and what is known of each."""

    def __init__(self, rows: Columns, target: float, alpha: float, *, declared_random: bool) -> None:
        self._rows = rows
        self._target = target
        self._declared = declared_random
        self.alpha = alpha
        #: Places of rows with a label, in the random order.
        self.places = np.flatnonzero(~np.isnan(rows.probability_n)).astype(np.int32)
        self._piles = [self._pile(threshold) for threshold in self._thresholds()]
        self._assumed: list[ProjectedFrom] = []
        self.levels = [self._level(pile) for pile in self._piles]
        at_least = [level.coverage for level in self.levels]
        self._starts = sorted({next(i for i, c in enumerate(at_least) if c >= start) for start in STARTS if at_least})

    def _thresholds(self) -> list[float]:
        """The least probability of each pile; equal probabilities stay together."""
        scores = np.sort(self._rows.probability_n[self.places])[::-1]
        ends = (math.ceil(share * len(scores)) - 1 for share in _COVERAGES if len(scores))
        return list(dict.fromkeys(float(scores[end]) for end in ends))

    def _pile(self, threshold: float) -> Array:
        pile: Array = self.places[self._rows.probability_n[self.places] >= threshold]
        return pile

    def _counting(self, pile: Array) -> Array:
        """The documents of a pile whose labels prove something: its random order without a gap."""
        labelled = self._rows.label_n[pile] != UNLABELLED
        if self._declared or labelled.all():
            return np.compress(labelled, pile)
        end = int(labelled.argmin())
        return pile[:end]

    def counted(self) -> int:
        """Labelled documents that count for some pile."""
        counting = [self._counting(pile) for pile in self._piles]
        return len(np.unique(np.concatenate(counting))) if counting else 0

    def _level(self, pile: Array) -> Level:
        right_t = self._rows.label_n[self._counting(pile)] == RIGHT
        capital_t = capital(right_t, len(pile), self._target)
        # a sample of somebody else's drawing has no order that was settled before it grew: only its end counts
        reached = 1.0 if not len(capital_t) else float(capital_t[-1] if self._declared else capital_t.max())
        probability_t = self._rows.probability_n[pile]
        mean = float(probability_t.mean())
        return Level(
            coverage=len(pile) / len(self.places),
            threshold=float(probability_t.min()),
            documents=len(pile),
            mean_probability=mean,
            labelled=len(right_t),
            wrong=int((~right_t).sum()),
            capital=reached,
            proven=False,
            needed=self._needed(right_t, capital_t, mean, len(pile)),
        )

    def _needed(self, right_t: Array, capital_t: Array, mean_probability: float, documents: int) -> int | None:
        """Labels in all, as far as labels or else probabilities tell; without labels, at least if none were wrong."""
        looks = np.full(len(capital_t), not self._declared)  # of a declared sample only the end is looked at
        looks[-1:] = True
        reached = np.flatnonzero(looks & (capital_t >= 1.0 / self.alpha))
        if len(reached) or len(right_t) == documents:
            self._assumed.append("labels")
            return int(reached[0]) + 1 if len(reached) else None
        if len(right_t) >= _TELLING_LABELS:
            self._assumed.append("labels")
            accuracy = (right_t.sum() + 1.0) / (len(right_t) + 2.0)  # Laplace's rule
            return labels_needed(right_t, accuracy, documents, self._target, self.alpha)
        needed = labels_needed(right_t, mean_probability, documents, self._target, self.alpha)
        self._assumed.append("probabilities" if needed is not None else "none wrong")
        return needed or labels_needed(right_t, 1.0, documents, self._target, self.alpha)

    def largest_proven(self) -> int | None:
        """The largest pile that is proven; marks all that are."""
        proven = set[int]()
        for start in self._starts:
            good = itertools.takewhile(
                lambda number: self.levels[number].capital >= 1.0 / self.alpha, range(start, len(self.levels))
            )
            proven.update(good)
        self.levels = [replace(level, proven=number in proven) for number, level in enumerate(self.levels)]
        return max(proven, default=None)

    def cheapest_plan(self, proven: int | None) -> Plan:
        """The documents to label next so that labels and the documents left to check are fewest together."""
        done = 0 if proven is None else self.levels[proven].documents
        best, fewest = Plan(), len(self.places) - done  # to check all the rest
        for start in self._starts:
            for goal in range(start, len(self.levels)):
                places = self._to_label(start, goal)
                if places is None:
                    break
                work = len(places) + len(self.places) - self.levels[goal].documents
                if goal > (-1 if proven is None else proven) and work < fewest:
                    best, fewest = Plan(places, self.levels[goal].threshold, self._assumed[goal]), work
        return best

    def _to_label(self, start: int, goal: int) -> Array | None:
        """What lacks a label of what would prove the piles from ``start`` to ``goal``; None where it cannot be done.

        The surest pile's first, and within a pile in the random order.
        """
        wanted = np.zeros(len(self._rows.label_n), dtype=bool)
        pieces = [np.empty(0, dtype=np.int32)]
        for number in range(start, goal + 1):
            needed = self.levels[number].needed
            if needed is None:
                return None
            places = self._piles[number][:needed]
            pieces.append(places[~wanted[places] & (self._rows.label_n[places] == UNLABELLED)])
            wanted[places] = True
        return np.concatenate(pieces)
