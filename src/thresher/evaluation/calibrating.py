"""Fitting calibrations, and finding out on documents they were not fitted to whether they help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax
from sklearn.model_selection import GroupKFold

from thresher.calibration import SMALLEST_PROBABILITY, Calibration, Method
from thresher.errors import UsageError
from thresher.evaluation.bootstrap import percentile_interval, resampled_counts
from thresher.evaluation.confidence import calibration_error
from thresher.evaluation.gold import Judged
from thresher.evaluation.question import QuestionFacts

FOLDS = 5
_CONFIDENCE = 0.95
#: Weight of the square by which a label's scale and shift leave the common scale and 0, in units of log likelihood.
_RIDGE = 1.0
_LARGEST_LOG_SCALE = 4.0

Array = np.ndarray[Any, Any]
Fit = Callable[["_Sample"], Calibration]


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
    usable = [entry for entry in judged if _is_usable(entry, question)]
    groups = [entry.row.content_sha256 or entry.row.document_id for entry in usable]
    if len(set(groups)) < 2 * FOLDS:
        raise UsageError(
            f"{len(set(groups))} documents of {question.name!r} have a label and a gold label, and calibrating needs "
            f"at least {2 * FOLDS}, so that some can be held out; give more gold labels"
        )
    sample = _Sample.of(usable, question)
    folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(groups, groups=groups))
    fits = {method: _fit(method, question, content_free) for method in methods}
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


def contextual(content_free: Mapping[str, float], *, multi: bool) -> Calibration:
    """The calibration under which a text without content is equally likely to have any label."""
    log_p = {label: float(np.log(max(p, SMALLEST_PROBABILITY))) for label, p in content_free.items()}
    if multi:
        log_no = {label: float(np.log(max(1.0 - p, SMALLEST_PROBABILITY))) for label, p in content_free.items()}
        shifts = {label: log_no[label] - log_p[label] for label in log_p}
    else:
        shifts = {label: -value for label, value in log_p.items()}
    return Calibration(method="contextual", multi=multi, shifts=shifts)


def _is_usable(entry: Judged, question: QuestionFacts) -> bool:
    shares = entry.row.probabilities
    return entry.said is not None and bool(shares) and set(shares) == set(question.labels or shares)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sample:
    """N documents, L labels."""

    multi: bool
    labels: tuple[str, ...]
    logs_nl: Array  # logarithms of the probabilities; for ``multi`` log odds
    gold_nl: Array  # 1 where the label is right
    said_nl: Array  # 1 where it was given
    right_n: Array
    known_n: Array  # whether the gold label is one of the L (of ``multi`` always: each label is a question)

    @classmethod
    def of(cls, usable: Sequence[Judged], question: QuestionFacts) -> _Sample:
        labels = question.labels or tuple(usable[0].row.probabilities)
        p_nl = np.array([[entry.row.probabilities[label] for label in labels] for entry in usable])
        logs_nl = np.log(np.maximum(p_nl, SMALLEST_PROBABILITY))
        if question.is_multi:
            logs_nl = logs_nl - np.log(np.maximum(1.0 - p_nl, SMALLEST_PROBABILITY))
        return cls(
            multi=question.is_multi,
            labels=labels,
            logs_nl=logs_nl,
            gold_nl=np.array([[label in entry.gold for label in labels] for entry in usable], dtype=float),
            said_nl=np.array([[label in (entry.said or ()) for label in labels] for entry in usable], dtype=float),
            right_n=np.array([entry.right for entry in usable], dtype=float),
            known_n=np.array([question.is_multi or entry.gold[0] in labels for entry in usable], dtype=float),
        )

    def part(self, places: Array) -> _Sample:
        return replace(
            self, logs_nl=self.logs_nl[places], gold_nl=self.gold_nl[places], said_nl=self.said_nl[places],
            right_n=self.right_n[places], known_n=self.known_n[places],
        )  # fmt: skip

    def log_p(self, scale: Array | float = 1.0, shift: Array | float = 0.0) -> tuple[Array, Array]:
        """The logarithms of each label's probability and of its absence, moved by scale and shift."""
        moved_nl = self.logs_nl * scale + shift
        if self.multi:
            return -np.logaddexp(0.0, -moved_nl), -np.logaddexp(0.0, moved_nl)
        log_nl = log_softmax(moved_nl, axis=1)
        return log_nl, np.zeros_like(log_nl)

    def loss_n(self, scale: Array | float = 1.0, shift: Array | float = 0.0) -> Array:
        """The negative log likelihood of each document's gold labels; 0 where they are not known here."""
        yes_nl, no_nl = self.log_p(scale, shift)
        losses: Array = -(self.gold_nl * yes_nl + (1.0 - self.gold_nl) * no_nl).sum(axis=1)
        return losses

    def probability_n(self, scale: Array | float = 1.0, shift: Array | float = 0.0) -> Array:
        """The probability of the labels given."""
        yes_nl, no_nl = self.log_p(scale, shift)
        given: Array = np.exp((self.said_nl * yes_nl + (1.0 - self.said_nl) * no_nl).sum(axis=1))
        return given

    def gradient_nl(self, scale: Array, shift: Array) -> Array:
        """Of the loss by each moved logarithm."""
        moved_nl = self.logs_nl * scale + shift
        p_nl = expit(moved_nl) if self.multi else np.exp(log_softmax(moved_nl, axis=1))
        gradient: Array = (p_nl - self.gold_nl) * self.known_n[:, None]
        return gradient


def _fit(method: Method, question: QuestionFacts, content_free: Mapping[str, float] | None) -> Fit:
    if method == "temperature":
        return _fit_temperature
    if method == "vector":
        return _fit_vector
    if content_free is None:
        raise UsageError(
            f"contextual calibration of {question.name!r} needs the model's answers to texts without content; run "
            "classify again with --content-free (it reads only those three)"
        )
    return lambda _: contextual(content_free, multi=question.is_multi)


def _fit_temperature(sample: _Sample) -> Calibration:
    found = minimize_scalar(
        lambda log_scale: sample.loss_n(float(np.exp(log_scale))).sum(),
        bounds=(-_LARGEST_LOG_SCALE, _LARGEST_LOG_SCALE), method="bounded",
    )  # fmt: skip
    return Calibration(method="temperature", multi=sample.multi, scale=float(np.exp(found.x)))


def _fit_vector(sample: _Sample) -> Calibration:
    common = _fit_temperature(sample).scale
    count = len(sample.labels)

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, shift = parameters[:count], parameters[count:]
        gradient_nl = sample.gradient_nl(scale, shift)
        ridge = _RIDGE * (((scale - common) ** 2).sum() + (shift**2).sum())
        by_scale = (gradient_nl * sample.logs_nl).sum(axis=0) + 2 * _RIDGE * (scale - common)
        by_shift = gradient_nl.sum(axis=0) + 2 * _RIDGE * shift
        return float(sample.loss_n(scale, shift).sum() + ridge), np.concatenate([by_scale, by_shift])

    start = np.concatenate([np.full(count, common), np.zeros(count)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Calibration(
        method="vector",
        multi=sample.multi,
        scales=dict(zip(sample.labels, map(float, found[:count]), strict=True)),
        shifts=dict(zip(sample.labels, map(float, found[count:]), strict=True)),
    )


def _trial(
    method: Method, fit: Fit, sample: _Sample, folds: Sequence[tuple[Array, Array]], methods: int, seed: int
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
