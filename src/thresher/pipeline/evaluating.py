"""A job's rows and gold labels -> how good the labels are, calibrations, and what can be accepted unseen."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from thresher.calibration import Calibration, Method
from thresher.errors import UsageError
from thresher.evaluation import (
    Acceptance,
    CalibrationOutcome,
    Candidate,
    Decision,
    GoldReport,
    GoldTable,
    Judged,
    Measurement,
    QuestionFacts,
    accept,
    calibrate,
    contextual,
    measure,
)
from thresher.jobs import JobView, ReviewedLabels, ReviewLog, RunFacts, store_calibrations
from thresher.pipeline.gold_sources import gold_table
from thresher.suggestions import did_you_mean
from thresher.tasks.labels import as_labels, label_tree
from thresher.types import Prediction

Calibrating = Literal["auto", "temperature", "vector", "contextual", "none"]
CALIBRATING: tuple[str, ...] = ("auto", "temperature", "vector", "contextual", "none")


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
    questions: tuple[QuestionEvaluation, ...] = field(default=())

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


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate and how.

    Raises:
        UsageError: options that do not go together, or out of range.
    """

    gold: Path | None = None
    reviewed: bool = False
    question: str | None = None
    target: float | None = None
    confidence: float = 0.95
    random_sample: bool = False
    calibrate: Calibrating | None = None
    force: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.calibrate is not None and self.calibrate not in CALIBRATING:
            raise UsageError(f"--calibrate is {self.calibrate!r}; use one of {', '.join(CALIBRATING)}")
        if self.gold is not None and self.reviewed:
            raise UsageError("give either --gold FILE or --reviewed")
        if self.force and self.calibrate in (None, "none"):
            raise UsageError("--force applies a calibration that is not shown to help; name it with --calibrate")
        for name, value in (("--target", self.target), ("--confidence", self.confidence)):
            if value is not None and not 0.0 < value < 1.0:
                raise UsageError(f"{name} is {value}; it must lie between 0 and 1, as in 0.95")
        if self.random_sample and self.target is None:
            raise UsageError("--random-sample says what --target may rely on; give --target, too")


def evaluate(
    job: str | os.PathLike[str],
    gold: str | os.PathLike[str] | None = None,
    *,
    reviewed: bool = False,
    question: str | None = None,
    target: float | None = None,
    confidence: float = 0.95,
    random_sample: bool = False,
    calibrate: Calibrating | None = None,
    force: bool = False,
    seed: int = 0,
) -> Evaluation:
    """How often a job's labels are right, whether its probabilities can be trusted, and what can be accepted unseen.

    Args:
        job: the job's folder.
        gold: a ``.csv``, ``.jsonl`` or ``.parquet`` file with ``document_id`` (or ``document``) and ``label``; None for
            the gold labels that ``classify`` kept, or else those of reviews.
        reviewed: take the labels of reviews, though ``classify`` kept others.
        question: only this one.
        target: the share of right labels wanted among the documents from some probability on, such as 0.95; those that
            nobody labelled are then accepted unseen.
        confidence: with which the target is wanted.
        random_sample: the gold documents are a random sample of the job's, drawn by you and evaluated once; else only
            those count for the target that begin the random order (see ``docs/evaluate.md``).
        calibrate: fit a calibration and store it if it is shown to help: ``"auto"``, ``"temperature"``, ``"vector"``
            or ``"contextual"``; ``"none"`` takes away the one that is stored.
        force: store it even if it is not shown to help.
        seed: of the bootstrap and of the folds.

    Raises:
        UsageError: options, gold file or job do not fit together; the message says how to mend it.
        JobError: there is no job, or it cannot be read.
    """
    options = EvaluateOptions(
        gold=None if gold is None else Path(gold), reviewed=reviewed, question=question, target=target,
        confidence=confidence, random_sample=random_sample, calibrate=calibrate, force=force, seed=seed,
    )  # fmt: skip
    return evaluate_job(Path(job), options)


def evaluate_job(folder: Path, options: EvaluateOptions) -> Evaluation:
    """See :func:`evaluate`."""
    with JobView.open(folder) as view:
        if view.run is None:
            raise UsageError(f"nothing was begun in the job {folder} yet; run classify first")
        questions = _questions(view.run, options.question)
        table = gold_table(view, questions, options.gold, options.question, reviewed=options.reviewed)
        if table is None and options.target is None and options.calibrate is None:
            raise UsageError(
                "there are no gold labels to compare with: give --gold FILE (columns document_id and label), keep a "
                "table's with classify --gold-column, review some, or plan with --target what to check"
            )
        parts = [_Part(view, question, options) for question in questions]
        _sort_rows(view, table, parts, options)
        if table is not None:
            table.check()
        evaluations = [part.evaluate(table) for part in parts]
        if options.calibrate is not None:
            store_calibrations(folder, view.run.fingerprint, {part.facts.name: part.calibration for part in parts})
        return Evaluation(
            job=str(folder), task=view.run.task, model=view.run.model, engine=view.run.engine,
            precision=view.run.precision, seed=options.seed, left=view.counts().left, questions=tuple(evaluations),
        )  # fmt: skip


def _questions(run: RunFacts, only: str | None) -> list[QuestionFacts]:
    if only is not None and only not in run.questions:
        raise UsageError(
            f"the job does not ask {only!r}{did_you_mean(only, run.questions)}; it asks {', '.join(run.questions)}"
        )
    return [
        QuestionFacts(
            name=name, kind=run.kinds.get(name, "choice"), labels=tuple(run.labels.get(name, ())),
            parents=_parents(run.labels.get(name, ())) if run.kinds.get(name) == "choice" else {},
        )
        for name in run.questions if only in (None, name)
    ]  # fmt: skip


def _parents(labels: Sequence[str]) -> Mapping[str, str]:
    """Label -> its topmost parent; empty where no label is below another."""
    top = label_tree(as_labels(labels))
    return {answer: node.path for node in top for answer in node.answers()} if any(n.children for n in top) else {}


class _Part:
    """One question's rows, and what comes of them."""

    def __init__(self, view: JobView, facts: QuestionFacts, options: EvaluateOptions) -> None:
        self.facts = facts
        self.judged: list[Judged] = []
        self.rows: list[Prediction] = []
        self.candidates: list[Candidate] = []  # the same rows, as a guarantee sees them
        self.calibration = view.calibrations.get(facts.name)
        self._content_free = view.content_free().get(facts.name)
        self._options = options

    def evaluate(self, table: GoldTable | None) -> QuestionEvaluation:
        tried = self._calibrate()
        acceptance, decisions = self._accept()
        return QuestionEvaluation(
            question=self.facts.name,
            kind=self.facts.kind,
            gold=None if table is None else table.report(self.facts.name),
            measurement=measure(self.judged, self.facts, self._options.seed) if self.judged else None,
            calibrating=tried,
            calibration=self.calibration,
            acceptance=acceptance,
            decisions=decisions,
        )

    def _calibrate(self) -> CalibrationOutcome | None:
        """Settle which calibration the job is to have. A new one that is not shown to help leaves the old in place."""
        wish = self._options.calibrate
        if wish is None:
            return None
        if wish == "none":
            self.calibration = None
            return None
        if not self.judged:
            self.calibration = self._untried(wish)
            return None
        outcome = calibrate(
            self.judged, self.facts, methods=self._methods(wish), content_free=self._content_free,
            force=self._options.force, seed=self._options.seed,
        )  # fmt: skip
        self.calibration = outcome.calibration or self.calibration
        return outcome

    def _methods(self, wish: Calibrating) -> list[Method]:
        every: list[Method] = ["temperature", "vector", *(["contextual"] if self._content_free else [])]  # type: ignore[list-item]
        return every if wish == "auto" else [wish]  # type: ignore[list-item]

    def _untried(self, wish: Calibrating) -> Calibration:
        """Contextual calibration needs no gold labels, but without them nothing shows that it helps."""
        if wish == "contextual" and self._content_free and self._options.force:
            return contextual(self._content_free, multi=self.facts.is_multi)
        raise UsageError(
            f"--calibrate {wish} needs gold labels for {self.facts.name!r}, to fit and to show that it helps; give "
            "--gold FILE (or, with classify --content-free, --calibrate contextual --force, unproven)"
        )

    def _accept(self) -> tuple[Acceptance | None, tuple[DocumentDecision, ...]]:
        options = self._options
        if options.target is None:
            return None, ()
        acceptance, decisions = accept(
            self.candidates, target=options.target, confidence=options.confidence, declared_random=options.random_sample
        )
        paired = zip(self.rows, decisions, strict=True)
        return acceptance, tuple(DocumentDecision(decision=decision, row=row) for row, decision in paired)


def _sort_rows(view: JobView, table: GoldTable | None, parts: Sequence[_Part], options: EvaluateOptions) -> None:
    by_question = {part.facts.name: part for part in parts}
    reviews = _ordered_reviews(view.folder) if options.target is not None else None
    for row in view.rows():
        part = by_question.get(row.question)
        if part is None:
            continue
        judged = None if table is None else table.judge(row)
        if judged is not None:
            part.judged.append(judged)
        if reviews is not None:
            part.rows.append(row)
            part.candidates.append(_candidate(row, judged, reviews))


def _ordered_reviews(folder: Path) -> ReviewedLabels:
    """The job's reviews, with its random order settled: a first look at a target does that, if no review has."""
    with ReviewLog.open(folder):
        return ReviewedLabels.of_job(folder)


def _candidate(row: Prediction, judged: Judged | None, reviews: ReviewedLabels) -> Candidate:
    right = None if judged is None else judged.right
    decision = reviews.of(row)
    if right is None and decision is not None and decision.label is None:
        right = False  # skipped: not counting it could hide what is hardest to tell, so it counts as wrong
    return Candidate(
        document_id=row.document_id,
        sample_key=reviews.sample_key(row.document_id) or "",
        probability=None if row.label is None else row.probability,
        right=right,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
