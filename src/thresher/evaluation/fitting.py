"""Fitting scales and shifts to documents whose right labels are known.

Suffixes of arrays: N documents, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax

from thresher.calibration import SMALLEST_PROBABILITY, Calibration, Method
from thresher.errors import UsageError
from thresher.evaluation.gold import Judged
from thresher.evaluation.question import QuestionFacts

#: Weight of the square by which a label's scale and shift leave the common scale and 0, in units of log likelihood.
_RIDGE = 1.0
_LARGEST_LOG_SCALE = 4.0

Array = np.ndarray[Any, Any]
Fit = Callable[["Sample"], Calibration]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """N documents with their probabilities of L labels, which labels were given, and which are right."""

    multi: bool
    labels: tuple[str, ...]
    logs_nl: Array  # logarithms of the probabilities; for ``multi`` log odds
    gold_nl: Array  # 1 where the label is right
    said_nl: Array  # 1 where it was given
    right_n: Array
    known_n: Array  # whether the gold label is one of the L (of ``multi`` always: each label is a question)

    @classmethod
    def of(cls, usable: Sequence[Judged], question: QuestionFacts) -> Sample:
        """The rows, which all have the same labels."""
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
            known_n=np.array(
                [question.is_multi or any(label in labels for label in entry.gold) for entry in usable], dtype=float
            ),
        )

    def part(self, places: Array) -> Sample:
        """Some of the documents."""
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


def fit_of(method: Method, question: QuestionFacts, content_free: Mapping[str, float] | None) -> Fit:
    """What fits a calibration to a sample. Raises ``UsageError`` where ``content_free`` is needed and not there."""
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


def _fit_temperature(sample: Sample) -> Calibration:
    found = minimize_scalar(
        lambda log_scale: sample.loss_n(float(np.exp(log_scale))).sum(),
        bounds=(-_LARGEST_LOG_SCALE, _LARGEST_LOG_SCALE), method="bounded",
    )  # fmt: skip
    return Calibration(method="temperature", multi=sample.multi, scale=float(np.exp(found.x)))


def _fit_vector(sample: Sample) -> Calibration:
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


def contextual(content_free: Mapping[str, float], *, multi: bool) -> Calibration:
    """The calibration under which a text without content is equally likely to have any label."""
    log_p = {label: float(np.log(max(p, SMALLEST_PROBABILITY))) for label, p in content_free.items()}
    if multi:
        log_no = {label: float(np.log(max(1.0 - p, SMALLEST_PROBABILITY))) for label, p in content_free.items()}
        shifts = {label: log_no[label] - log_p[label] for label in log_p}
    else:
        shifts = {label: -value for label, value in log_p.items()}
    return Calibration(method="contextual", multi=multi, shifts=shifts)
