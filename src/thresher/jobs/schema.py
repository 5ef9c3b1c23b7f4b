"""The tables of a job file and the numbered steps that bring an older file up to date."""

from __future__ import annotations

import sqlite3

from thresher.errors import JobError

#: Step N brings a file from version N to N+1. Steps are only ever added.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL UNIQUE,      -- task, model and settings; see JobStore.begin_run
        facts TEXT NOT NULL,                   -- JSON of RunFacts
        current_listing INTEGER NOT NULL DEFAULT 0,
        last_used INTEGER NOT NULL             -- the run with the largest is the latest
    );
    CREATE TABLE documents (
        run_id INTEGER NOT NULL REFERENCES runs(run_id),
        document_id TEXT NOT NULL,
        position INTEGER NOT NULL,             -- order of the listing
        listing INTEGER NOT NULL,              -- the listing that named it last
        source TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,             -- of the file, or of the table that the row is in
        gold TEXT,
        content_sha256 BLOB,                   -- NULL until read
        unreadable_reason TEXT,
        PRIMARY KEY (run_id, document_id)
    ) WITHOUT ROWID;
    CREATE TABLE results (
        run_id INTEGER NOT NULL REFERENCES runs(run_id),
        content_sha256 BLOB NOT NULL,
        question TEXT NOT NULL,
        status TEXT NOT NULL,
        label TEXT,                            -- a JSON list for a question of kind multi
        probability REAL,
        probabilities TEXT,                    -- JSON: label -> probability
        label_mass REAL,
        expected REAL,
        document_tokens INTEGER,
        truncated_tokens INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        PRIMARY KEY (run_id, content_sha256, question)
    ) WITHOUT ROWID;
    CREATE TABLE texts (
        content_sha256 BLOB NOT NULL UNIQUE,
        text_zlib BLOB NOT NULL
    );
    """,
    """
    ALTER TABLE results ADD COLUMN prompt_tokens INTEGER;  -- of the reading that gave the answer; NULL if not known
    ALTER TABLE results ADD COLUMN cached_tokens INTEGER;
    ALTER TABLE documents ADD COLUMN reply_form TEXT;      -- JSON of ReplyForm, where a request wants one
    """,
    """
    CREATE TABLE passes (                      -- each classify over the run's documents
        pass_id INTEGER PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs(run_id),
        started_at REAL NOT NULL,              -- seconds since the epoch
        load_seconds REAL NOT NULL,
        thresher_version TEXT NOT NULL,
        engine_version TEXT NOT NULL,
        device TEXT NOT NULL,
        machine TEXT NOT NULL,                 -- JSON: what -> value, for people
        command TEXT NOT NULL,
        seconds REAL,                          -- NULL while it runs, and where it was killed
        outcome TEXT
    );
    CREATE TABLE pace (                        -- what was committed in each second of a pass
        pass_id INTEGER NOT NULL REFERENCES passes(pass_id),
        second INTEGER NOT NULL,
        documents INTEGER NOT NULL,
        computed_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        PRIMARY KEY (pass_id, second)
    ) WITHOUT ROWID;
    """,
    """
    -- from here on "gold" is JSON: question -> gold label as written; '' stands for the one question there is
    UPDATE documents SET gold = json_object('', gold) WHERE gold IS NOT NULL;
    CREATE TABLE calibrations (
        run_id INTEGER NOT NULL REFERENCES runs(run_id),
        question TEXT NOT NULL,
        calibration TEXT NOT NULL,             -- JSON of Calibration
        PRIMARY KEY (run_id, question)
    ) WITHOUT ROWID;
    CREATE TABLE content_free (
        run_id INTEGER NOT NULL REFERENCES runs(run_id),
        question TEXT NOT NULL,
        probabilities TEXT NOT NULL,           -- JSON: label -> mean probability on texts without content
        PRIMARY KEY (run_id, question)
    ) WITHOUT ROWID;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file's tables up to date, each step in a transaction of its own.

    Raises:
        JobError: the file was written by a newer version.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise JobError(
            f"the job was written by a newer version of Thresher (schema {version}, this version knows "
            f"{len(MIGRATIONS)}); upgrade Thresher or choose another --job"
        )
    for step in range(version, len(MIGRATIONS)):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;")
