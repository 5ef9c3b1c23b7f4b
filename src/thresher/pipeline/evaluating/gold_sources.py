"""Where a job's gold labels come from: a file, those that classify kept, or what people decided in a review."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from thresher.errors import UsageError
from thresher.evaluation import GoldLabel, GoldTable, QuestionFacts
from thresher.jobs import JobView, ReviewedLabels
from thresher.pipeline.evaluating.gold_file import read_gold


def gold_table(
    view: JobView, questions: Sequence[QuestionFacts], file: Path | None, only: str | None, *, reviewed: bool
) -> GoldTable | None:
    """The gold labels of ``file``, or the reviewed ones; else those that classify kept, or else reviewed ones if any.

    None where there are none and none were asked for.

    Raises:
        UsageError, InputError: what was asked for holds no gold labels, or cannot be read.
    """
    if file is not None:
        found = GoldTable(read_gold(file, questions, only), questions, str(file))
        if not found.given():
            raise UsageError(f"{file} holds no gold label; its labels are empty")
        return found
    if not reviewed:
        kept = GoldTable(_kept(view, questions), questions, "classify --gold-column")
        if kept.given():
            return kept
    decided = _reviewed(view, questions)
    if reviewed and not decided.given():
        raise UsageError("--reviewed: nobody has reviewed a document of this job yet; 'thresher review' opens the page")
    return decided if decided.given() else None


def _kept(view: JobView, questions: Sequence[QuestionFacts]) -> Iterator[GoldLabel]:
    names = {question.name for question in questions}
    for row in view.rows():
        if row.gold is not None and row.question in names:
            yield GoldLabel(document=row.document_id, question=row.question, written=row.gold)


def _reviewed(view: JobView, questions: Sequence[QuestionFacts]) -> GoldTable:
    decisions = ReviewedLabels.of_job(view.folder)
    names = {question.name for question in questions}
    labels: list[GoldLabel] = []
    queues: dict[str, Counter[str]] = {name: Counter() for name in names}
    for row in view.rows() if decisions.decisions else ():
        decision = decisions.of(row)
        if decision is None or decision.label is None or row.question not in names:
            continue
        queues[row.question][decision.queue] += 1
        written = decision.label if isinstance(decision.label, str) else json.dumps(decision.label, ensure_ascii=False)
        labels.append(GoldLabel(document=row.document_id, question=row.question, written=written))
    return GoldTable(labels, questions, "reviews", queues)
