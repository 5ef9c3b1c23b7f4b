"""What an evaluation found: plain values, for printing, for reports, for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from thresher.calibration import Calibration
from thresher.evaluation import Acceptance, CalibrationOutcome, Decisions, GoldReport, Measurement


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
    decisions: Decisions | None = None  # of the acceptance, by sample keys; see document_decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How good a job's labels are."""

    job: str
    task: str
    model: str
    engine: str
    precision: str
    run_fingerprint: str  # of the rows that were evaluated
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
        questions = tuple(replace(question, decisions=None) for question in self.questions)
        found: dict[str, Any] = _finite(asdict(replace(self, questions=questions)))
        del found["run_fingerprint"]
        for question in found["questions"]:
            del question["decisions"]
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
