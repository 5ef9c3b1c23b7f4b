"""How often labels are right, laid out: tables and curves of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from thresher.charts import Series, curves

if TYPE_CHECKING:
    from thresher.evaluation import Measurement
    from thresher.evaluation.confidence import ConfidenceCheck, CoveragePoint
    from thresher.evaluation.quality import Quality
    from thresher.pipeline.evaluating import Evaluation

#: A matrix of more labels is no picture any more; the most frequent confusions tell more.
_MOST_LABELS_IN_MATRIX = 20
_MOST_MISTAKES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell of the confusion matrix; ``shade`` is from 0 to 1."""

    count: int
    shade: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPart:
    """The figures of one question."""

    question: str
    kind: str
    notes: tuple[str, ...]  # of the gold labels
    measurement: Measurement
    accuracies: tuple[tuple[str, str, str], ...]  # over which documents, how many right, the share with its interval
    matrix: tuple[tuple[str, tuple[Cell, ...]], ...]  # gold label -> cells; empty where there are too many labels
    columns: tuple[str, ...]
    mistakes: tuple[tuple[str, str, int], ...]
    reliability: Markup | None
    coverage: Markup | None


def quality_parts(evaluation: Evaluation) -> list[QualityPart]:
    """One part for each question that has gold labels."""
    from thresher.evaluation import gold_notes

    parts = []
    for question in evaluation.questions:
        found = question.measurement
        if found is None or question.gold is None:
            continue
        parts.append(
            QualityPart(
                question=question.question, kind=question.kind,
                notes=tuple(gold_notes(question.question, question.gold)), measurement=found,
                accuracies=_accuracies(found), matrix=_matrix(found),
                columns=() if found.confusion is None else found.confusion.said,
                mistakes=tuple((m.gold, m.said, m.documents) for m in found.mistakes[:_MOST_MISTAKES]),
                reliability=_reliability(found), coverage=_coverage(found.coverage),
            )
        )  # fmt: skip
    return parts


def _accuracies(found: Measurement) -> tuple[tuple[str, str, str], ...]:
    rows = [("all with a right label known; failed and abstained count as wrong", found.labels.all)]
    if found.labels.answered is not None and found.answered < found.documents:
        rows.append(("those that got a label", found.labels.answered))
    if found.parents is not None:
        rows.append(("all, the topmost parent of each label only", found.parents.all))
    return tuple(
        (name, f"{quality.right:,} of {quality.documents:,}", _with_interval(quality)) for name, quality in rows
    )


def _with_interval(quality: Quality) -> str:
    low, high = quality.accuracy_exact
    return f"{quality.accuracy:.1%} ({low:.1%} to {high:.1%})"


def _matrix(found: Measurement) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    if found.confusion is None or len(found.confusion.gold) > _MOST_LABELS_IN_MATRIX:
        return ()
    return tuple(
        (
            gold,
            tuple(
                _cell(count, sum(counts), right=gold == said)
                for said, count in zip(found.confusion.said, counts, strict=True)
            ),
        )
        for gold, counts in zip(found.confusion.gold, found.confusion.counts, strict=True)
    )


def _cell(count: int, of_label: int, *, right: bool) -> Cell:
    return Cell(count=count, shade=count / of_label if of_label else 0.0, right=right)


def _reliability(found: Measurement) -> Markup | None:
    checks = [("probability", found.probability), ("calibrated", found.calibrated_probability)]
    measured = [_reliability_series(name, check) for name, check in checks if check is not None]
    if not measured:
        return None
    ideal = Series(name="as promised", x=(0.0, 1.0), y=(0.0, 1.0), dashed=True)
    drawn = curves(
        [*measured, ideal], x_label="probability", y_label="share that is right", unit_square=True,
        description="How often labels of a given probability are right; on the diagonal probabilities keep their word.",
    )  # fmt: skip
    return Markup(drawn)  # noqa: S704 - drawn from figures


def _reliability_series(name: str, check: ConfidenceCheck) -> Series:
    bins = check.reliability
    return Series(
        name=name, x=[bin_.mean_probability for bin_ in bins], y=[bin_.accuracy for bin_ in bins],
        low=[bin_.accuracy_exact[0] for bin_ in bins], high=[bin_.accuracy_exact[1] for bin_ in bins],
    )  # fmt: skip


def _coverage(points: tuple[CoveragePoint, ...]) -> Markup | None:
    if not points:
        return None
    series = Series(name="accuracy", x=[p.coverage for p in points], y=[p.accuracy for p in points])
    drawn = curves(
        [series], x_label="share of the documents, the surest first", y_label="share that is right", unit_square=True,
        description="How many of the surest documents are right, by how many of them are taken.",
    )  # fmt: skip
    return Markup(drawn)  # noqa: S704 - drawn from figures
