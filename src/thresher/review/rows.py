"""Questions to the index of rows and the decisions beside it: the next row, a page of rows, counts."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.jobs import ReviewedLabel
from thresher.jobs.decisions import as_stored_label
from thresher.jobs.location import BUSY_TIMEOUT_S, translated_errors
from thresher.jobs.reviews import REVIEWS_NAME
from thresher.review.filters import ORDERS, STATES, Filters
from thresher.review.index_file import INDEX_NAME
from thresher.review.summary import NO_CONFIDENCE, Summary

_COLUMNS = (
    "r.row_no, r.question, r.key, r.document_id, r.position, r.subject, r.status, r.label, r.confidence, r.has_gold, "
    "s.decision_id, d.action, d.label, d.reviewer"
)
_TABLES = """
rows AS r
LEFT JOIN reviews.standing AS s ON s.question = r.question AND s.subject = r.subject
LEFT JOIN reviews.decisions AS d ON d.decision_id = s.decision_id
"""
#: The same for rows that have a decision, in an order of reading that costs little where few have one.
_DECIDED = """
reviews.standing AS s
CROSS JOIN rows AS r ON r.question = s.question AND r.subject = s.subject
CROSS JOIN reviews.decisions AS d ON d.decision_id = s.decision_id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the index and what was decided about it."""

    row_no: int
    question: str
    key: str
    document_id: str
    position: int
    subject: str
    status: str
    label: ReviewedLabel | None
    confidence: float | None
    has_gold: bool
    decision_id: int | None
    action: str | None
    reviewed: ReviewedLabel | None
    reviewer: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What people did with the rows of a question."""

    rows: int
    accepted: int
    corrected: int
    skipped: int

    @property
    def decided(self) -> int:
        """Rows with a label by a person."""
        return self.accepted + self.corrected

    @property
    def open(self) -> int:
        """Rows that nobody looked at."""
        return self.rows - self.decided - self.skipped


class Rows:
    """Reads index and decisions. May be used from several threads; questions take turns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        uri = f"{(folder / INDEX_NAME).resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None
        )
        decisions = f"{(folder / REVIEWS_NAME).resolve().as_uri()}?mode=ro"
        self._connection.execute("ATTACH ? AS reviews", (decisions,))
        self._mutex = threading.Lock()

    def close(self) -> None:
        """Close the files; may be called twice."""
        self._connection.close()

    def one(self, question: str, key: str) -> Row | None:
        """The row of the document with this key."""
        rows = self._all(f"SELECT {_COLUMNS} FROM {_TABLES} WHERE r.question = ? AND r.key = ?", question, key)
        return self._row(rows[0]) if rows else None

    def page(self, filters: Filters, size: int, *, after: Row | None = None, without: Sequence[int] = ()) -> list[Row]:
        """The first ``size`` rows in the order of ``filters``, behind the row ``after``; not those numbered."""
        condition, values = filters.condition()
        column, tie = ORDERS[filters.order]
        if after is not None:
            condition += f" AND (r.{column}, r.{tie}) > (?, ?)"
            values += [_sort_value(after, column), after.row_no]
        if without:
            condition += f" AND r.row_no NOT IN ({','.join('?' * len(without))})"
            values += without
        tables = _TABLES if filters.state in ("open", "all") else _DECIDED
        condition += f" AND {STATES[filters.state]}"
        sql = f"SELECT {_COLUMNS} FROM {tables} WHERE {condition} ORDER BY r.{column}, r.{tie} LIMIT ?"
        return [self._row(row) for row in self._all(sql, *values, size)]

    def count(self, filters: Filters) -> int:
        """How many rows ``filters`` let through."""
        condition, values = filters.condition()
        if filters.state in ("open", "all"):
            (found,) = self._all(f"SELECT COUNT(*) FROM rows AS r WHERE {condition}", *values)[0]
            if filters.state == "open":
                found -= self._all(f"SELECT COUNT(*) FROM {_DECIDED} WHERE {condition}", *values)[0][0]
            return int(found)
        condition += f" AND {STATES[filters.state]}"
        return int(self._all(f"SELECT COUNT(*) FROM {_DECIDED} WHERE {condition}", *values)[0][0])

    def counts(self, question: str) -> Counts:
        """What people did with the rows of a question."""
        actions: dict[str, int] = dict(
            self._all(f"SELECT d.action, COUNT(*) FROM {_DECIDED} WHERE s.question = ? GROUP BY d.action", question)
        )
        rows = self.summary().of(question).rows
        return Counts(rows, actions.get("accept", 0), actions.get("correct", 0), actions.get("skip", 0))

    def summary(self) -> Summary:
        """The figures of the latest refresh."""
        found = self._all("SELECT value FROM facts WHERE name = 'summary'")
        return Summary.from_json(found[0][0]) if found else Summary()

    def sampled(self, question: str) -> int:
        """How many documents from the start of the random order have a label by a person, without a gap."""
        gap = self._all(
            f"SELECT r.key FROM {_TABLES} WHERE r.question = ? AND d.label IS NULL ORDER BY r.key LIMIT 1", question
        )
        end = gap[0][0] if gap else "g"  # behind all hex digits
        return int(self._all("SELECT COUNT(*) FROM rows WHERE question = ? AND key < ?", question, end)[0][0])

    def same_content(self, row: Row) -> int:
        """How many documents share this one's content, itself included: a decision holds for all of them."""
        return int(
            self._all("SELECT COUNT(*) FROM rows WHERE question = ? AND subject = ?", row.question, row.subject)[0][0]
        )

    def labels(self, question: str) -> list[tuple[ReviewedLabel | None, str, int]]:
        """The model's labels with their status and the number of rows."""
        return [(_label(label), status, count) for label, status, count in self.summary().of(question).labels]

    def judged(self, question: str) -> list[tuple[ReviewedLabel | None, ReviewedLabel | None, int]]:
        """Of the rows that people gave a label: the model's label now, theirs, and the number of rows."""
        found = self._all(
            f"SELECT r.label, d.label, COUNT(*) FROM {_DECIDED} "
            "WHERE s.question = ? AND d.label IS NOT NULL GROUP BY r.label, d.label",
            question,
        )
        return [(_label(of_model), _label(of_person), count) for of_model, of_person, count in found]

    def search_state(self) -> tuple[int, int]:
        """Contents whose words can be searched, and contents whose words are still to come."""
        searchable = self._all("SELECT value FROM facts WHERE name = 'searchable'")
        to_come = self._all("SELECT COUNT(*) FROM contents WHERE words_in = 0")
        return int(searchable[0][0]) if searchable else 0, int(to_come[0][0])

    def _row(self, cells: tuple[Any, ...]) -> Row:
        values = list(cells)
        values[7], values[12] = _label(values[7]), _label(values[12])
        values[8] = None if values[8] == NO_CONFIDENCE else values[8]
        return Row(*values)

    def _all(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._mutex, translated_errors(self._folder, INDEX_NAME):
            return self._connection.execute(sql, values).fetchall()


def _label(stored: str | None) -> ReviewedLabel | None:
    return None if stored is None else as_stored_label(json.loads(stored))


def _sort_value(row: Row, column: str) -> object:
    if column == "confidence":
        return NO_CONFIDENCE if row.confidence is None else row.confidence
    return getattr(row, column)
