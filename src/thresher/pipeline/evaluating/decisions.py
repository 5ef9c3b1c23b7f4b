"""What is to be done with each document, as a table that a person fills in and gives back as gold labels."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import DiskFullError, JobError
from thresher.evaluation import Decision
from thresher.evaluation.decisions import WHATS
from thresher.jobs import JobView, ReviewedLabels, csv_cell, new_file
from thresher.pipeline.evaluating.result import Evaluation
from thresher.types import Prediction

COLUMNS = ("check_order", "document_id", "source", "question", "predicted", "probability", "decision", "label")
_Cells = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDecision:
    """What is to be done with one document, and what the model said."""

    decision: Decision
    row: Prediction


def document_decisions(evaluation: Evaluation) -> Iterator[DocumentDecision]:
    """The documents of an evaluation with a target and what is to be done with each, in the job's order.

    The rows are read from the job again, for a job may have more than memory holds; those that have come since are
    left out.

    Raises:
        JobError: the job has another run since, or cannot be read.
    """
    decisions = {part.question: part.decisions for part in evaluation.questions if part.decisions is not None}
    if not decisions:
        return
    folder = Path(evaluation.job)
    reviews = ReviewedLabels.of_job(folder)
    with JobView.open(folder) as view:
        if view.run is None or view.run.fingerprint != evaluation.run_fingerprint:
            raise JobError(f"the job in {folder} has a new run since it was evaluated; evaluate it again")
        for row in view.rows():
            known = decisions.get(row.question)
            decision = None if known is None else known.of(reviews.sample_key(row.document_id) or "")
            if decision is not None:
                yield DocumentDecision(decision=decision, row=row)


def write_decisions(evaluation: Evaluation, file: Path, *, overwrite: bool) -> int:
    """Write a row for each document and question; returns how many.

    First those whose labels would prove more, in that order, then the rest to check, the least certain first, then
    what is labelled or accepted. The column ``label`` is empty, to be filled in: the file is then gold for
    ``thresher evaluate --gold``.

    Raises:
        UsageError: the file exists, or is no ``.csv``.
        JobError: see :func:`document_decisions`.
        DiskFullError: the disk is full, or that for temporary files.
    """
    rows = ((_turn(entry), _cells(entry)) for entry in document_decisions(evaluation))
    count = 0
    with new_file(file, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for cells in _sorted(rows):
            writer.writerow(cells)
            count += 1
    return count


def _turn(entry: DocumentDecision) -> tuple[bool, int, int, float]:
    order = entry.decision.check_order
    return order is None, order or 0, WHATS.index(entry.decision.decision), entry.row.probability or 0.0


def _cells(entry: DocumentDecision) -> _Cells:
    row, decision = entry.row, entry.decision
    values = (
        decision.check_order, row.document_id, row.source, row.question, row.label, row.probability, decision.decision,
        None,
    )  # fmt: skip
    return tuple(map(csv_cell, values))


def _sorted(rows: Iterable[tuple[tuple[bool, int, int, float], _Cells]]) -> Iterator[_Cells]:
    """The cells by their turns, sorted on the disk: SQLite's, in a file that nobody else sees and that goes by itself.

    Raises:
        DiskFullError: there is no room for it.
    """
    turn, cells = "unasked, place, what, probability", ", ".join(f"c{number}" for number in range(len(COLUMNS)))
    marks = ", ".join("?" * (4 + len(COLUMNS)))
    with contextlib.closing(sqlite3.connect("", isolation_level=None)) as connection:
        try:
            connection.execute(f"CREATE TABLE decisions (number INTEGER PRIMARY KEY, {turn}, {cells})")
            connection.execute("BEGIN")
            connection.executemany(
                f"INSERT INTO decisions ({turn}, {cells}) VALUES ({marks})", ((*key, *row) for key, row in rows)
            )
            yield from connection.execute(f"SELECT {cells} FROM decisions ORDER BY {turn}, number")
        except sqlite3.Error as error:
            raise DiskFullError(
                f"the decisions cannot be sorted on the disk for temporary files ({tempfile.gettempdir()}): {error}; "
                "free some space there, or name another folder in TMPDIR"
            ) from error
