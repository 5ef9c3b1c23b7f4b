"""Calibrations of a job's latest run, and what its model says to texts without content."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from thresher.calibration import Calibration
from thresher.errors import JobError
from thresher.jobs.location import connect, existing_database, translated_errors


def stored_calibrations(folder: Path, connection: sqlite3.Connection, run_id: int) -> dict[str, Calibration]:
    """Question -> its calibration."""
    with translated_errors(folder):
        rows = connection.execute("SELECT question, calibration FROM calibrations WHERE run_id = ?", (run_id,))
        return {question: Calibration.from_json(stored) for question, stored in rows}


def stored_content_free(folder: Path, connection: sqlite3.Connection, run_id: int) -> dict[str, dict[str, float]]:
    """Question -> label -> mean probability on texts without content."""
    with translated_errors(folder):
        rows = connection.execute("SELECT question, probabilities FROM content_free WHERE run_id = ?", (run_id,))
        return {question: json.loads(stored) for question, stored in rows}


def store_calibrations(folder: Path, run_fingerprint: str, calibrations: Mapping[str, Calibration | None]) -> None:
    """Give the questions of a run these calibrations; None takes one away. Rows themselves are never touched.

    A calibration is one small transaction, so the job's lock is not needed: this works beside a ``classify``.

    Raises:
        JobError: there is no such run in the job, or it cannot be written.
    """
    existing_database(folder)
    with contextlib.closing(connect(folder)) as connection, translated_errors(folder):
        row = connection.execute("SELECT run_id FROM runs WHERE fingerprint = ?", (run_fingerprint,)).fetchone()
        if row is None:
            raise JobError(f"the job in {folder} has no such run any more; evaluate it again")
        connection.execute("BEGIN IMMEDIATE")
        for question, calibration in calibrations.items():
            if calibration is None:
                connection.execute("DELETE FROM calibrations WHERE run_id = ? AND question = ?", (row[0], question))
            else:
                values = (row[0], question, calibration.to_json())
                connection.execute("INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?)", values)
        connection.execute("COMMIT")
