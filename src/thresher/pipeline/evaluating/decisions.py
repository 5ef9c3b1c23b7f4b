"""What is to be done with each document, as a table that a person fills in and gives back as gold labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from thresher.jobs import csv_cell, new_file
from thresher.pipeline.evaluating.result import DocumentDecision, Evaluation

COLUMNS = ("check_order", "document_id", "source", "question", "predicted", "probability", "decision", "label")
_TURN = {"check": 0, "labelled": 1, "accept": 2}


def write_decisions(evaluation: Evaluation, file: Path, *, overwrite: bool) -> int:
    """Write a row for each document and question; returns how many.

    First those whose labels would prove more, in that order, then the rest to check, the least certain first, then
    what is labelled or accepted. The column ``label`` is empty, to be filled in: the file is then gold for
    ``thresher evaluate --gold``.

    Raises:
        UsageError: the file exists, or is no ``.csv``.
    """
    rows = sorted((entry for question in evaluation.questions for entry in question.decisions), key=_turn)
    with new_file(file, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(_cells(entry) for entry in rows)
    return len(rows)


def _turn(entry: DocumentDecision) -> tuple[bool, int, int, float]:
    order = entry.decision.check_order
    return order is None, order or 0, _TURN[entry.decision.decision], entry.row.probability or 0.0


def _cells(entry: DocumentDecision) -> Iterable[str | int | float]:
    row, decision = entry.row, entry.decision
    values = (
        decision.check_order, row.document_id, row.source, row.question, row.label, row.probability, decision.decision,
        None,
    )  # fmt: skip
    return map(csv_cell, values)
