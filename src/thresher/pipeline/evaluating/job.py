"""A job's rows and gold labels -> how good the labels are, calibrations, and what can be accepted unseen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from thresher.errors import UsageError
from thresher.evaluation import Candidate, GoldTable, Judged, QuestionFacts
from thresher.jobs import JobView, ReviewedLabels, ReviewLog, RunFacts, store_calibrations
from thresher.pipeline.evaluating.gold_sources import gold_table
from thresher.pipeline.evaluating.options import Calibrating, EvaluateOptions
from thresher.pipeline.evaluating.part import Part
from thresher.pipeline.evaluating.result import Evaluation
from thresher.suggestions import did_you_mean
from thresher.tasks.labels import as_labels, label_tree
from thresher.types import Prediction


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
        return _evaluate(view, view.run, questions, table, options)


def evaluate_if_gold(folder: Path, gold: Path | None = None) -> Evaluation | None:
    """The evaluation of a job that has gold labels (of ``gold``, kept by ``classify``, or of reviews); else None.

    Raises:
        UsageError: the gold labels do not fit the job.
        JobError: there is no job, or it cannot be read.
    """
    options = EvaluateOptions(gold=gold)
    with JobView.open(folder) as view:
        if view.run is None:
            return None
        questions = _questions(view.run, None)
        table = gold_table(view, questions, gold, None, reviewed=False)
        return None if table is None else _evaluate(view, view.run, questions, table, options)


def _evaluate(
    view: JobView, run: RunFacts, questions: Sequence[QuestionFacts], table: GoldTable | None, options: EvaluateOptions
) -> Evaluation:
    parts = [Part(view, question, options) for question in questions]
    _sort_rows(view, table, parts, options)
    if table is not None:
        table.check()
    evaluations = [part.evaluate(table) for part in parts]
    if options.calibrate is not None:
        store_calibrations(view.folder, run.fingerprint, {part.facts.name: part.calibration for part in parts})
    return Evaluation(
        job=str(view.folder), task=run.task, model=run.model, engine=run.engine, precision=run.precision,
        run_fingerprint=run.fingerprint, seed=options.seed, left=view.counts().left, questions=tuple(evaluations),
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


def _sort_rows(view: JobView, table: GoldTable | None, parts: Sequence[Part], options: EvaluateOptions) -> None:
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
            part.candidates.add(_candidate(row, judged, reviews))


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
        sample_key=reviews.sample_key(row.document_id) or "",
        probability=None if row.label is None else row.probability,
        right=right,
    )
