"""All figures of one question: what ``thresher evaluate`` prints and reports show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.metrics import mean_absolute_error

from thresher.evaluation.confidence import ConfidenceCheck, CoveragePoint, check_confidence, coverage_curve
from thresher.evaluation.confusion import (
    Confusion,
    LabelConfusion,
    Mistake,
    confusion,
    frequent_mistakes,
    label_confusions,
)
from thresher.evaluation.encoding import encode
from thresher.evaluation.gold import Judged
from thresher.evaluation.quality import ClassQuality, Views, class_qualities, views
from thresher.evaluation.question import QuestionFacts
from thresher.evaluation.slices import Slice, by_length, by_status


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreErrors:
    """How far scores are off, over the rows that have one and whose gold label is a whole number."""

    documents: int
    mean_absolute_error: float  # of the score given
    expected_mean_absolute_error: float | None  # of the mean of the probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How good the labels of one question are."""

    documents: int  # rows with a gold label
    answered: int
    abstained: int
    failed: int
    labels: Views
    parents: Views | None  # of labels below labels: only the topmost parents compared
    classes: tuple[ClassQuality, ...]
    confusion: Confusion | None  # of questions with one label
    label_confusions: tuple[LabelConfusion, ...]  # of ``multi``
    mistakes: tuple[Mistake, ...]  # the most frequent, of questions with one label
    score: ScoreErrors | None
    probability: ConfidenceCheck | None  # None where no row has a label
    calibrated_probability: ConfidenceCheck | None  # None where the job has no calibration
    coverage: tuple[CoveragePoint, ...]
    by_length: tuple[Slice, ...]
    by_status: tuple[Slice, ...]


def measure(judged: Sequence[Judged], question: QuestionFacts, seed: int = 0) -> Measurement:
    """All figures over the rows whose right answer is known; at least one.

    ``seed`` is that of the bootstrap, which resamples documents a thousand times.
    """
    encoded = encode(judged, question)
    answered = [entry for entry in judged if entry.said is not None]
    matrix = None if question.is_multi else confusion(encoded)
    return Measurement(
        documents=len(judged),
        answered=len(answered),
        abstained=sum(entry.row.status == "abstained" for entry in judged),
        failed=sum(entry.row.error is not None for entry in judged),
        labels=views(encoded, [entry.said is not None for entry in judged], seed),
        parents=_parents(judged, question, seed),
        classes=class_qualities(encoded),
        confusion=matrix,
        label_confusions=label_confusions(encoded) if question.is_multi else (),
        mistakes=() if matrix is None else frequent_mistakes(matrix),
        score=_score_errors(answered) if question.kind == "score" else None,
        probability=_raw_confidence(answered, question),
        calibrated_probability=_calibrated_confidence(answered),
        coverage=coverage_curve(judged) if answered else (),
        by_length=by_length(judged),
        by_status=by_status(judged),
    )


def _parents(judged: Sequence[Judged], question: QuestionFacts, seed: int) -> Views | None:
    if not question.parents:
        return None
    encoded = encode(judged, question, lambda label: question.parents.get(label, label))
    return views(encoded, [entry.said is not None for entry in judged], seed)


def _score_errors(answered: Sequence[Judged]) -> ScoreErrors | None:
    whole = [entry for entry in answered if entry.gold and _is_whole(entry.gold[0])]
    if not whole:
        return None
    gold = [int(entry.gold[0]) for entry in whole]
    expected = [entry.row.expected for entry in whole]
    known = [value for value in expected if value is not None]
    return ScoreErrors(
        documents=len(whole),
        mean_absolute_error=float(mean_absolute_error(gold, [int(str(entry.row.label)) for entry in whole])),
        expected_mean_absolute_error=(float(mean_absolute_error(gold, known)) if len(known) == len(gold) else None),
    )


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _raw_confidence(answered: Sequence[Judged], question: QuestionFacts) -> ConfidenceCheck | None:
    """Of the rows whose probability is known: some endpoints give labels alone."""
    known = [(entry, p) for entry in answered if (p := entry.row.probability) is not None]
    if not known:
        return None
    shares = [dict(entry.row.probabilities) for entry, _ in known]
    return check_confidence([entry for entry, _ in known], [p for _, p in known], shares, multi=question.is_multi)


def _calibrated_confidence(answered: Sequence[Judged]) -> ConfidenceCheck | None:
    """The calibrated probabilities of all labels are not stored, so there is no log loss here."""
    known = [(entry, p) for entry in answered if (p := entry.row.calibrated_probability) is not None]
    if not known:
        return None
    return check_confidence([entry for entry, _ in known], [p for _, p in known], [], multi=True)
