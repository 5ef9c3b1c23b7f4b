"""Which documents can be accepted unseen, and which to check to prove it.

Documents are sorted by the model's probability into piles of the most certain 10%, 20%, ... 100%. A pile is *proven*
when the capital of :mod:`~thresher.evaluation.betting` on it reached its mark, over the documents of the random order
that lie in the pile. Piles are tested from small to large, each only after the one before: a fixed sequence needs no
correction for the number of piles. It is begun at three places with a third of the error chance each, because a small
pile is the likeliest to be good and a large one the soonest to have enough labels (Angelopoulos et al. 2021, "Learn
then Test", fixed sequence testing with several starts). So the chance that any pile is proven wrongly, at any look, is
at most ``1 - confidence``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from thresher.errors import UsageError
from thresher.evaluation.betting import capital, labels_needed
from thresher.evaluation.bounds import fixed_sample_sizes

_COVERAGES = tuple(step / 10 for step in range(1, 11))
_STARTS = (0.1, 0.5, 1.0)
#: From so many labels on, what they say of a pile counts for plans, not what the model's probabilities say.
_TELLING_LABELS = 20

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row as a guarantee sees it."""

    document_id: str
    sample_key: str  # its place in the random order, which was settled before any label was seen
    probability: float | None  # the model's own, raw; None where the row has no label
    right: bool | None = None  # None where nobody has labelled it; False where somebody tried and could not tell


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done with one document."""

    document_id: str
    decision: Literal["accept", "check", "labelled"]
    check_order: int | None = None  # of those whose labels would prove more: which first


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What is proven, what is to be checked, and what it would take to prove more."""

    target: float
    confidence: float
    sample: Literal["random order", "declared random"]
    mark: float  # capital that proves a pile
    documents: int
    answered: int  # with a label
    labelled: int  # of those answered, with a gold or reviewed label
    counted: int  # of those labelled: the beginning of the random order, of any pile; only they prove anything
    threshold: float | None  # accepted from this probability on; None: nothing is proven
    guaranteed: int  # documents of the proven pile, to which target and confidence apply
    accepted: int  # of them, those that nobody has labelled
    to_check: int  # neither accepted nor labelled
    next_labels: int  # to be labelled to prove more; 0 where checking the rest is no more work
    next_threshold: float | None  # that they would prove
    projected_from: Literal["labels", "probabilities", "none wrong"] | None  # what next_labels assumes
    fixed_samples: dict[int, int] = field(default_factory=dict)  # see fixed_sample_sizes
    levels: tuple[Level, ...] = ()


def accept(
    rows: Sequence[Candidate], *, target: float, confidence: float = 0.95, declared_random: bool = False
) -> tuple[Acceptance, list[Decision]]:
    """What can be accepted among ``rows``, and what is to be done with each, in their order.

    Args:
        rows: one for each document.
        target: the share of right labels wanted in the accepted pile (the documents from some probability on, those
            that somebody labelled among them), between 0 and 1.
        confidence: with which it is wanted, between 0 and 1.
        declared_random: the labelled documents are a random sample that somebody else drew, evaluated once.

    Raises:
        UsageError: target or confidence are out of range.
    """
    for name, value in (("--target", target), ("--confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise UsageError(f"{name} is {value}; it must lie between 0 and 1, as in 0.95")
    piles = _Piles(rows, target, (1.0 - confidence) / len(_STARTS), declared_random=declared_random)
    proven = piles.largest_proven()
    threshold = None if proven is None else piles.levels[proven].threshold
    plan = piles.cheapest_plan(proven)
    rank = {place: number for number, place in enumerate(plan.places, 1)}
    decisions = [
        Decision(document_id=row.document_id, decision=_decision(row, threshold), check_order=rank.get(place))
        for place, row in enumerate(rows)
    ]
    return (
        Acceptance(
            target=target,
            confidence=confidence,
            sample="declared random" if declared_random else "random order",
            mark=1.0 / piles.alpha,
            documents=len(rows),
            answered=len(piles.places),
            labelled=sum(rows[place].right is not None for place in piles.places),
            counted=piles.counted(),
            threshold=threshold,
            guaranteed=0 if proven is None else piles.levels[proven].documents,
            accepted=sum(decision.decision == "accept" for decision in decisions),
            to_check=sum(decision.decision == "check" for decision in decisions),
            next_labels=len(plan.places),
            next_threshold=plan.threshold,
            projected_from=plan.projected_from,
            fixed_samples=fixed_sample_sizes(target, confidence),
            levels=tuple(piles.levels),
        ),
        decisions,
    )


def _decision(row: Candidate, threshold: float | None) -> Literal["accept", "check", "labelled"]:
    if row.right is not None:
        return "labelled"
    sure = threshold is not None and row.probability is not None and row.probability >= threshold
    return "accept" if sure else "check"


@dataclass(frozen=True, slots=True)
class _Plan:
    """Documents to label next, by position, and the pile that they would prove."""

    places: tuple[int, ...] = ()
    threshold: float | None = None
    projected_from: Literal["labels", "probabilities", "none wrong"] | None = None


class _Piles:
    """The nested piles and what is known of each."""

    def __init__(self, rows: Sequence[Candidate], target: float, alpha: float, *, declared_random: bool) -> None:
        self._rows = rows
        self._target = target
        self._declared = declared_random
        self.alpha = alpha
        answered = [place for place, row in enumerate(rows) if row.probability is not None]
        #: Positions of rows with a label, in the random order.
        self.places = sorted(answered, key=lambda place: rows[place].sample_key)
        self._piles = [self._pile(threshold) for threshold in self._thresholds()]
        self._assumed: list[Literal["labels", "probabilities", "none wrong"]] = []
        self.levels = [self._level(pile) for pile in self._piles]
        at_least = [level.coverage for level in self.levels]
        self._starts = sorted({next(i for i, c in enumerate(at_least) if c >= start) for start in _STARTS if at_least})

    def _thresholds(self) -> list[float]:
        """The least probability of each pile; equal probabilities stay together."""
        scores = sorted((self._probability(place) for place in self.places), reverse=True)
        return list(dict.fromkeys(scores[math.ceil(share * len(scores)) - 1] for share in _COVERAGES if scores))

    def _probability(self, place: int) -> float:
        return self._rows[place].probability or 0.0

    def _pile(self, threshold: float) -> list[int]:
        return [place for place in self.places if self._probability(place) >= threshold]

    def _counting(self, pile: Sequence[int]) -> list[int]:
        """The documents of a pile whose labels prove something: its random order without a gap."""
        if self._declared:
            return [place for place in pile if self._rows[place].right is not None]
        return list(itertools.takewhile(lambda place: self._rows[place].right is not None, pile))

    def counted(self) -> int:
        """Labelled documents that count for some pile."""
        return len({place for pile in self._piles for place in self._counting(pile)})

    def _level(self, pile: Sequence[int]) -> Level:
        right_t = np.array([self._rows[place].right for place in self._counting(pile)], dtype=bool)
        capital_t = capital(right_t, len(pile), self._target)
        # a sample of somebody else's drawing has no order that was settled before it grew: only its end counts
        reached = 1.0 if not len(capital_t) else float(capital_t[-1] if self._declared else capital_t.max())
        mean = float(np.mean([self._probability(place) for place in pile]))
        return Level(
            coverage=len(pile) / len(self.places),
            threshold=min(map(self._probability, pile)),
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

    def cheapest_plan(self, proven: int | None) -> _Plan:
        """The documents to label next so that labels and the documents left to check are fewest together."""
        done = 0 if proven is None else self.levels[proven].documents
        best, fewest = _Plan(), len(self.places) - done  # to check all the rest
        for start in self._starts:
            for goal in range(start, len(self.levels)):
                places = self._to_label(start, goal)
                if places is None:
                    break
                work = len(places) + len(self.places) - self.levels[goal].documents
                if goal > (-1 if proven is None else proven) and work < fewest:
                    best, fewest = _Plan(places, self.levels[goal].threshold, self._assumed[goal]), work
        return best

    def _to_label(self, start: int, goal: int) -> tuple[int, ...] | None:
        """What lacks a label of what would prove the piles from ``start`` to ``goal``; None where it cannot be done."""
        wanted: dict[int, None] = {}
        for number in range(start, goal + 1):
            needed = self.levels[number].needed
            if needed is None:
                return None
            wanted |= dict.fromkeys(self._piles[number][:needed])
        return tuple(place for place in wanted if self._rows[place].right is None)
