"""Probabilities against the truth: does "0.9" mean nine of ten, and are the sure ones right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss

from thresher.evaluation.bounds import clopper_pearson
from thresher.evaluation.gold import Judged

BINS = 10
_CURVE_POINTS = 100

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The rows whose probability lies from ``low`` to ``high``."""

    low: float
    high: float
    documents: int
    mean_probability: float
    accuracy: float
    accuracy_exact: tuple[float, float]  # Clopper and Pearson, 95%


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceCheck:
    """How far a probability of the given label can be taken at its word."""

    documents: int
    mean_probability: float
    accuracy: float
    expected_calibration_error: float  # over ``bins`` of equal width: mean gap, weighted by documents
    brier: float  # of the given label being right
    log_loss: float | None  # of the gold label; None for ``multi``, and where no gold label has a probability
    bins: int
    reliability: tuple[Bin, ...]  # bins with documents


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint:
    """What share of all judged rows one gets from a probability on, and how many of them are right."""

    threshold: float
    documents: int
    coverage: float
    accuracy: float


def check_confidence(
    answered: Sequence[Judged], probabilities: Sequence[float], shares: Sequence[dict[str, float]], *, multi: bool
) -> ConfidenceCheck:
    """Compare ``probabilities`` of the given labels, and ``shares`` of all, with the gold labels.

    The expected calibration error is that of Guo et al. 2017 for the label given.
    """
    p_n, right_n = np.array(probabilities), np.array([entry.right for entry in answered], dtype=int)
    return ConfidenceCheck(
        documents=len(p_n),
        mean_probability=float(p_n.mean()),
        accuracy=float(right_n.mean()),
        expected_calibration_error=calibration_error(p_n, right_n),
        brier=float(brier_score_loss(right_n, p_n, pos_label=1)),
        log_loss=None if multi else _log_loss(answered, shares),
        bins=BINS,
        reliability=tuple(_bins(p_n, right_n)),
    )


def calibration_error(p_n: Array, right_n: Array) -> float:
    """The gap between mean probability and accuracy in bins of equal width, weighted by documents."""
    return sum(abs(bin_.mean_probability - bin_.accuracy) * bin_.documents for bin_ in _bins(p_n, right_n)) / len(p_n)


def _bins(p_n: Array, right_n: Array) -> list[Bin]:
    edges = np.linspace(0.0, 1.0, BINS + 1)
    place_n = np.searchsorted(edges[1:-1], p_n)  # as scikit-learn's calibration_curve: an edge belongs to the bin below
    found = []
    for number in np.unique(place_n):
        inside = place_n == number
        documents, right = int(inside.sum()), int(right_n[inside].sum())
        found.append(
            Bin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                documents=documents,
                mean_probability=float(p_n[inside].mean()),
                accuracy=right / documents,
                accuracy_exact=clopper_pearson(right, documents),
            )
        )
    return found


def _log_loss(answered: Sequence[Judged], shares: Sequence[dict[str, float]]) -> float | None:
    """Over rows whose gold label has a probability; labels are sorted, as scikit-learn wants its columns."""
    known = [
        (label, share)
        for entry, share in zip(answered, shares, strict=True)
        for label in entry.gold[:1]  # none where no label fits
        if label in share
    ]
    if not known:
        return None
    labels = sorted(set[str]().union(*(share for _, share in known)))
    matrix = np.array([[share.get(label, 0.0) for label in labels] for _, share in known])
    return float(log_loss([gold for gold, _ in known], matrix, labels=labels))


def coverage_curve(judged: Sequence[Judged]) -> tuple[CoveragePoint, ...]:
    """Accuracy from each probability on, the surest first; at most a hundred points. Without one a row is in none."""
    known = ((entry.row.probability, entry.right) for entry in judged if entry.said is not None)
    answered = sorted(((p, is_right) for p, is_right in known if p is not None), reverse=True)
    right = np.cumsum([is_right for _, is_right in answered])
    # where a probability begins: rows of equal probability stand or fall together
    ends = [n for n in range(1, len(answered) + 1) if n == len(answered) or answered[n][0] < answered[n - 1][0]]
    chosen = sorted({ends[round(place)] for place in np.linspace(0, len(ends) - 1, min(_CURVE_POINTS, len(ends)))})
    return tuple(
        CoveragePoint(
            threshold=answered[n - 1][0], documents=n, coverage=n / len(judged), accuracy=float(right[n - 1]) / n
        )
        for n in chosen
    )
