"""What an evaluation found: plain values, for printing, for reports, for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from thresher.calibration import Calibration
from thresher.evaluation import Acceptance, CalibrationOutcome, Decision, GoldReport, Measurement
from thresher.types import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDecision:
    """What is to be done with one document, and what the model said."""

    decision: Decision
    row: Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionEvaluation:
    """One question. What was not asked for, or has no gold labels, is None."""

    question: str
    kind: str
    gold: GoldReport | None
    measurement: Measurement | None
    calibrating: CalibrationOutcome | None  # what was tried now
    calibration: Calibration | None  # what the job has now
    acceptance: Acceptance | None
    decisions: tuple[DocumentDecision, ...] = ()  # of the acceptance, a document each


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How good a job's labels are."""

    job: str
    task: str
    model: str
    engine: str
    precision: str
    seed: int  # of the bootstrap and the folds
    left: int  # documents that are not labelled yet, and not counted
    questions: tuple[QuestionEvaluation, ...] = ()

    def least_accuracy(self) -> float | None:
        """The lowest of the questions' accuracies over all rows (failed and abstained are wrong); None without gold."""
        return min(
            (q.measurement.labels.all.accuracy for q in self.questions if q.measurement is not None), default=None
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the decisions on single documents; figures unrounded, what is infinite is null."""
        found: dict[str, Any] = _finite(asdict(self))
        for question in found["questions"]:
            del question["decisions"]
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
