"""Finding out on documents that a calibration was not fitted to whether it helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from thresher.calibration import Calibration, Method
from thresher.errors import UsageError
from thresher.evaluation.bootstrap import percentile_interval, resampled_counts
from thresher.evaluation.confidence import calibration_error
from thresher.evaluation.fitting import Fit, Sample, fit_of
from thresher.evaluation.gold import Judged
from thresher.evaluation.question import QuestionFacts

FOLDS = 5
_CONFIDENCE = 0.95

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTrial:
    """What one method did on documents that it was not fitted to: the figures before it and after."""

    method: Method
    documents: int
    brier_before: float
    brier_after: float
    brier_change: float  # after - before, mean over documents; below 0 is better
    brier_change_interval: tuple[float, float]  # paired bootstrap over documents
    confidence: float  # of the interval: 95% over all methods tried together (Bonferroni)
    log_loss_before: float  # over documents whose gold label is one of the task's
    log_loss_after: float
    expected_calibration_error_before: float
    expected_calibration_error_after: float
    improvement_shown: bool  # the whole interval is below 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOutcome:
    """What was tried, and what is to be applied."""

    documents: int  # with a label and a gold label
    folds: int
    trials: tuple[CalibrationTrial, ...]
    chosen: Method | None  # None: no improvement shown
    forced: bool
    calibration: Calibration | None  # fitted to all documents


def calibrate(
    judged: Sequence[Judged],
    question: QuestionFacts,
    *,
    methods: Sequence[Method] = ("temperature", "vector"),
    content_free: Mapping[str, float] | None = None,
    force: bool = False,
    seed: int = 0,
) -> CalibrationOutcome:
    """Try ``methods`` with cross-validation over contents; choose the best one that is shown to help.

    A document and its duplicates are always in the same fold. Documents whose gold label is none of the task's cannot
    be fitted to, but they are held out like the others: the label given to them is wrong. What is compared is the Brier
    score of the probability that would be applied: that of the label given. With ``force`` the best is chosen though
    nothing is shown.

    Args:
        judged: rows with gold labels; passed over are those without a label.
        question: what was asked.
        methods: which to try; ``"contextual"`` needs ``content_free``.
        content_free: label -> mean probability on texts without content.
        force: choose even where no improvement is shown.
        seed: of the folds and the bootstrap.

    Raises:
        UsageError: too few documents to hold any out, or too few contents.
    """
    usable = _usable(judged, question)
    groups = [entry.row.content_sha256 or entry.row.document_id for entry in usable]
    if len(set(groups)) < 2 * FOLDS:
        raise UsageError(
            f"{len(set(groups))} documents of {question.name!r} have a label and a gold label, and calibrating needs "
            f"at least {2 * FOLDS}, so that some can be held out; give more gold labels"
        )
    sample = Sample.of(usable, question)
    folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(groups, groups=groups))
    fits = {method: fit_of(method, question, content_free) for method in methods}
    trials = [_trial(method, fit, sample, folds, len(fits), seed) for method, fit in fits.items()]
    allowed = [trial for trial in trials if trial.improvement_shown or force]
    best = min(allowed, key=lambda trial: trial.brier_after, default=None)
    calibration = None
    if best is not None:
        fitted = fits[best.method](sample)
        calibration = replace(fitted, documents=len(usable), improvement_shown=best.improvement_shown)
    return CalibrationOutcome(
        documents=len(usable),
        folds=FOLDS,
        trials=tuple(trials),
        chosen=None if best is None else best.method,
        forced=best is not None and not best.improvement_shown,
        calibration=calibration,
    )


def _usable(judged: Sequence[Judged], question: QuestionFacts) -> list[Judged]:
    """Rows with a label that know all labels; where requests bring their own, those with the first one's."""
    answered = [entry for entry in judged if entry.said is not None and entry.row.probabilities]
    labels = set(question.labels or (answered[0].row.probabilities if answered else ()))
    return [entry for entry in answered if set(entry.row.probabilities) == labels]


def _trial(
    method: Method, fit: Fit, sample: Sample, folds: Sequence[tuple[Array, Array]], methods: int, seed: int
) -> CalibrationTrial:
    after_n, loss_n = np.empty(len(sample.right_n)), np.empty(len(sample.right_n))
    for fitted_to, held_out in folds:
        scale, shift = _parameters(fit(sample.part(fitted_to)), sample.labels)
        rest = sample.part(held_out)
        after_n[held_out], loss_n[held_out] = rest.probability_n(scale, shift), rest.loss_n(scale, shift)
    before_n, right_n = sample.probability_n(), sample.right_n
    change_n = (after_n - right_n) ** 2 - (before_n - right_n) ** 2
    confidence = 1.0 - (1.0 - _CONFIDENCE) / methods
    known = max(1.0, float(sample.known_n.sum()))
    means = np.concatenate([counts @ change_n / len(change_n) for counts in resampled_counts(len(change_n), seed)])
    interval = percentile_interval(means, confidence)
    return CalibrationTrial(
        method=method,
        documents=len(right_n),
        brier_before=float(((before_n - right_n) ** 2).mean()),
        brier_after=float(((after_n - right_n) ** 2).mean()),
        brier_change=float(change_n.mean()),
        brier_change_interval=interval,
        confidence=confidence,
        log_loss_before=float(sample.loss_n().sum() / known),
        log_loss_after=float(loss_n.sum() / known),
        expected_calibration_error_before=calibration_error(before_n, right_n),
        expected_calibration_error_after=calibration_error(after_n, right_n),
        improvement_shown=interval[1] < 0.0,
    )


def _parameters(calibration: Calibration, labels: Sequence[str]) -> tuple[Array, Array]:
    scale = np.array([calibration.scales.get(label, calibration.scale) for label in labels])
    return scale, np.array([calibration.shifts.get(label, 0.0) for label in labels])
