"""The decisions of people about a job's rows: a SQLite file of its own beside the job, with any number of writers.

with ReviewLog.open(folder) as log:
    outcome = log.decide(NewDecision(...), seen=0)   # durable on return; refused if somebody decided meanwhile
    log.undo(outcome.standing.decision_id, "ada")

Rows of ``decisions`` are only ever added; ``standing`` names the one that counts for a question of a content.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thresher.closing import Closing
from thresher.errors import JobError
from thresher.jobs.database import transaction
from thresher.jobs.decisions import Decision, NewDecision, ReviewOutcome, as_stored_label
from thresher.jobs.location import BUSY_TIMEOUT_S, existing_database, translated_errors

REVIEWS_NAME = "reviews.sqlite"
_VERSION = 1
# several processes may come here first at the same time, so each statement may be repeated
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS sampling (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seed TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS decisions (
    decision_id INTEGER PRIMARY KEY AUTOINCREMENT,
    question TEXT NOT NULL,
    subject TEXT NOT NULL,                 -- content_sha256 in hex, or document: and the id; see subject_of
    document_id TEXT NOT NULL,
    action TEXT NOT NULL,                  -- accept, correct, skip, undo
    label TEXT,                            -- JSON: a text, or a list for a question of kind multi
    model_label TEXT,                      -- JSON, as label
    queue TEXT NOT NULL,                   -- how the row came before the person
    run_fingerprint TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    decided_at TEXT NOT NULL,              -- ISO 8601, UTC
    replaces INTEGER,                      -- the decision that stood before this one
    undoes INTEGER                         -- of an undo: the decision taken back
);
CREATE TABLE IF NOT EXISTS standing (
    question TEXT NOT NULL,
    subject TEXT NOT NULL,
    decision_id INTEGER NOT NULL REFERENCES decisions(decision_id),
    PRIMARY KEY (question, subject)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_COLUMNS = (
    "decision_id, question, subject, document_id, action, label, model_label, queue, run_fingerprint, reviewer, "
    "decided_at"
)
_INSERT = """
INSERT INTO decisions (question, subject, document_id, action, label, model_label, queue, run_fingerprint, reviewer,
                       decided_at, replaces, undoes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class ReviewLog(Closing):
    """Writes decisions. Safe to use from several threads, and beside other processes that do the same."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._mutex = threading.RLock()
        with self._transaction():
            connection.execute("INSERT OR IGNORE INTO sampling VALUES (1, ?)", (secrets.token_hex(16),))
        #: Makes the random order of the job's documents, see :func:`~thresher.jobs.decisions.sample_key`.
        self.seed: str = connection.execute("SELECT seed FROM sampling").fetchone()[0]

    @classmethod
    def open(cls, folder: Path) -> ReviewLog:
        """Open or make the decisions beside the job in ``folder``.

        Raises:
            JobError: there is no job, or the file cannot be used; the message says why.
        """
        existing_database(folder)
        with translated_errors(folder, REVIEWS_NAME):
            connection = _connect(folder / REVIEWS_NAME)
            try:
                return cls(folder, connection)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def decide(self, new: NewDecision, *, seen: int) -> ReviewOutcome:
        """Store ``new``, which is on the disk when this returns.

        ``seen`` is the id of the decision that the person saw with the row (0: none). Where another one stands by now,
        nothing is stored and the outcome has that one. The same person deciding the same again is no conflict: it is
        what a repeated key or a form sent twice looks like.
        """
        with self._transaction():
            standing = self._standing(new.question, new.subject)
            if (standing.decision_id if standing else 0) != seen:
                same = standing and (standing.reviewer, standing.label, standing.action) == (
                    new.reviewer, new.label, new.action,
                )  # fmt: skip
                return ReviewOutcome(stored=bool(same), standing=standing)
            cursor = self._connection.execute(_INSERT, (*_cells(new), _now(), seen or None, None))
            self._connection.execute(
                "INSERT OR REPLACE INTO standing VALUES (?, ?, ?)", (new.question, new.subject, cursor.lastrowid)
            )
            return ReviewOutcome(stored=True, standing=self._standing(new.question, new.subject))

    def undo(self, decision_id: int, reviewer: str) -> ReviewOutcome:
        """Take a decision back: the one before it stands again, if there was one.

        Refused where it does not stand any more; the outcome then has the one that does.
        """
        with self._transaction():
            taken_back = self._decision(decision_id)
            if taken_back is None:
                return ReviewOutcome(stored=False, standing=None)
            where = (taken_back.question, taken_back.subject)
            standing = self._standing(*where)
            if standing is None or standing.decision_id != decision_id:
                return ReviewOutcome(stored=False, standing=standing)
            (before,) = self._connection.execute(
                "SELECT replaces FROM decisions WHERE decision_id = ?", (decision_id,)
            ).fetchone()
            self._connection.execute(
                """
                INSERT INTO decisions (question, subject, document_id, action, label, model_label, queue,
                                       run_fingerprint, reviewer, decided_at, replaces, undoes)
                SELECT question, subject, document_id, 'undo', NULL, model_label, queue, run_fingerprint, ?, ?,
                       decision_id, decision_id FROM decisions WHERE decision_id = ?
                """,
                (reviewer, _now(), decision_id),
            )
            if before is None:
                self._connection.execute("DELETE FROM standing WHERE question = ? AND subject = ?", where)
            else:
                self._connection.execute("INSERT OR REPLACE INTO standing VALUES (?, ?, ?)", (*where, before))
            return ReviewOutcome(stored=True, standing=self._standing(*where))

    def standing(self, question: str, subject: str) -> Decision | None:
        """The decision that counts for this row, if there is one."""
        with self._mutex, translated_errors(self.folder, REVIEWS_NAME):
            return self._standing(question, subject)

    def last_of(self, reviewer: str) -> Decision | None:
        """The latest decision of ``reviewer`` that still stands: what an undo would take back."""
        with self._mutex, translated_errors(self.folder, REVIEWS_NAME):
            return self._one(
                "d.decision_id = s.decision_id AND d.reviewer = ? ORDER BY d.decision_id DESC LIMIT 1", reviewer
            )

    def _standing(self, question: str, subject: str) -> Decision | None:
        return self._one("d.decision_id = s.decision_id AND s.question = ? AND s.subject = ?", question, subject)

    def _decision(self, decision_id: int) -> Decision | None:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM decisions WHERE decision_id = ? AND action <> 'undo'", (decision_id,)
        ).fetchone()
        return decision_from(row) if row else None

    def _one(self, condition: str, *parameters: object) -> Decision | None:
        columns = ", ".join(f"d.{column}" for column in _COLUMNS.split(", "))
        row = self._connection.execute(
            f"SELECT {columns} FROM decisions AS d JOIN standing AS s USING (question, subject) WHERE {condition}",
            parameters,
        ).fetchone()
        return decision_from(row) if row else None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex, translated_errors(self.folder, REVIEWS_NAME), transaction(self._connection):
            yield


def standing_decisions(folder: Path) -> tuple[str | None, list[Decision]]:
    """The seed and all decisions that stand; (None, []) where nobody has reviewed the job yet. Never writes."""
    file = folder / REVIEWS_NAME
    if not file.is_file():
        return None, []
    with translated_errors(folder, REVIEWS_NAME):
        uri = f"{file.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
            if not _checked_version(file, connection):
                return None, []  # another process is making it this moment
            seed = connection.execute("SELECT seed FROM sampling").fetchone()
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM decisions WHERE decision_id IN (SELECT decision_id FROM standing) "
                "ORDER BY decision_id"
            )
            return (seed[0] if seed else None), [decision_from(row) for row in rows]


def decision_from(row: tuple[Any, ...]) -> Decision:
    """A row of the table as a decision."""
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    for name in ("label", "model_label"):
        fields[name] = None if fields[name] is None else as_stored_label(json.loads(fields[name]))
    return Decision(**fields)


def _connect(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
    try:
        _checked_version(file, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _checked_version(file: Path, connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > _VERSION:
        raise JobError(
            f"{file} was written by a newer version of Thresher (schema {version}, this version knows {_VERSION}); "
            "upgrade Thresher"
        )
    return version


def _cells(new: NewDecision) -> tuple[object, ...]:
    return (
        new.question, new.subject, new.document_id, new.action, _to_json(new.label), _to_json(new.model_label),
        new.queue, new.run_fingerprint, new.reviewer,
    )  # fmt: skip


def _to_json(label: object) -> str | None:
    return None if label is None else json.dumps(label, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
