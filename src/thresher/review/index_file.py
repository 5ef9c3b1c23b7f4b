"""The file of the review index: its tables, and how it is opened or made anew."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from thresher.errors import JobError
from thresher.jobs.location import BUSY_TIMEOUT_S
from thresher.review.summary import NO_CONFIDENCE

INDEX_NAME = "review-index.sqlite"
_VERSION = 1
_UNUSABLE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
    content_no INTEGER PRIMARY KEY,
    content_sha256 TEXT NOT NULL UNIQUE,
    words_in INTEGER NOT NULL DEFAULT 0    -- 1: its words are in the full-text index; 2: the job keeps no text of it
);
CREATE INDEX IF NOT EXISTS contents_to_do ON contents (content_no) WHERE words_in = 0;
CREATE TABLE IF NOT EXISTS rows (
    row_no INTEGER PRIMARY KEY,
    question TEXT NOT NULL,
    key TEXT NOT NULL,                     -- of the document: its place in the random order and its name in URLs
    document_id TEXT NOT NULL,
    name TEXT NOT NULL,                    -- the id without regard to case, for searching
    position INTEGER NOT NULL,
    subject TEXT NOT NULL,                 -- what decisions are about
    content_no INTEGER,
    status TEXT NOT NULL,
    label TEXT,                            -- JSON: a text, or a list for a question of kind multi
    confidence REAL NOT NULL,              -- {NO_CONFIDENCE} where there is no probability
    has_gold INTEGER NOT NULL,
    UNIQUE (question, key)
);
CREATE INDEX IF NOT EXISTS rows_by_confidence ON rows (question, confidence, row_no);
CREATE INDEX IF NOT EXISTS rows_by_position ON rows (question, position, row_no);
CREATE INDEX IF NOT EXISTS rows_by_subject ON rows (question, subject);
CREATE INDEX IF NOT EXISTS rows_by_label ON rows (question, label, status);
CREATE INDEX IF NOT EXISTS rows_by_name ON rows (question, name);
CREATE INDEX IF NOT EXISTS rows_by_content ON rows (content_no);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2');
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def open_index(file: Path) -> sqlite3.Connection:
    """The index, made anew where there is none, one of another version, or a damaged one."""
    try:
        try:
            return _connect(file)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_NOTADB) & 0xFF not in _UNUSABLE:
                raise
            for suffix in ("", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
        return _connect(file)
    except (sqlite3.Error, OSError) as error:
        raise JobError(f"the index of rows {file} cannot be made: {error}") from error


def _connect(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last refresh, not the file
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
