"""How many labels are right, and how well each class is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from thresher.evaluation.bootstrap import percentile_interval, resampled_figures
from thresher.evaluation.bounds import clopper_pearson
from thresher.evaluation.encoding import Encoded

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Figures over documents, with intervals of 95%; the F1 over classes that occur in gold or predictions."""

    documents: int
    right: int
    accuracy: float  # for ``multi`` the share whose set of labels is exactly right (subset accuracy)
    accuracy_interval: Interval  # bootstrap
    accuracy_exact: Interval  # Clopper and Pearson
    macro_f1: float
    macro_f1_interval: Interval
    weighted_f1: float
    weighted_f1_interval: Interval
    micro_f1: float  # for questions with one label the accuracy, where all classes count
    micro_f1_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The same figures twice: over the rows that have a label, and over all, where one without is wrong."""

    answered: Quality | None  # None where no row has a label
    all: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassQuality:
    """One label over all rows; a row without a label is missed by its gold labels."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int  # documents that have it as gold
    predicted: int


def views(encoded: Encoded, answered: Sequence[bool], seed: int) -> Views:
    """The figures over answered rows and over all."""
    chosen = np.array(answered, dtype=bool)
    return Views(answered=_quality(encoded.of(chosen), seed) if chosen.any() else None, all=_quality(encoded, seed))


def _quality(encoded: Encoded, seed: int) -> Quality:
    gold, said, occurring = encoded.gold_nc1, encoded.said_nc1, encoded.occurring()
    f1 = {
        average: float(f1_score(gold, said, labels=occurring, average=average, zero_division=0)) if occurring else 0.0
        for average in ("macro", "weighted", "micro")
    }
    figures = resampled_figures(encoded, seed)
    intervals = {name: percentile_interval(values) for name, values in figures.items()}
    right = int(encoded.right_n.sum())
    return Quality(
        documents=encoded.documents,
        right=right,
        accuracy=float(accuracy_score(gold, said)),
        accuracy_interval=intervals["accuracy"],
        accuracy_exact=clopper_pearson(right, encoded.documents),
        macro_f1=f1["macro"],
        macro_f1_interval=intervals["macro_f1"],
        weighted_f1=f1["weighted"],
        weighted_f1_interval=intervals["weighted_f1"],
        micro_f1=f1["micro"],
        micro_f1_interval=intervals["micro_f1"],
    )


def class_qualities(encoded: Encoded) -> tuple[ClassQuality, ...]:
    """Precision, recall, F1 and support of each class."""
    if not encoded.classes:
        return ()
    figures = precision_recall_fscore_support(
        encoded.gold_nc1, encoded.said_nc1, labels=list(range(len(encoded.classes))), zero_division=0
    )
    predicted = np.asarray(encoded.said_nc1.sum(axis=0)).ravel()
    return tuple(
        ClassQuality(
            label=label,
            precision=float(p),
            recall=float(r),
            f1=float(f),
            support=int(s),
            predicted=int(predicted[place]),
        )
        for place, (label, p, r, f, s) in enumerate(zip(encoded.classes, *figures, strict=True))
    )
