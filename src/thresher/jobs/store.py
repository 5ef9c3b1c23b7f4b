"""The durable store of a job, as the one process that writes it sees it.

with JobStore.open(folder) as store:
    store.begin_run(facts)
    with store.listing() as add: add(documents) ...     # which documents there are
    store.begin_pass(facts)                             # this pass over them, on this machine
    store.states(ids)                                   # what is known of them
    store.commit(Commit(...))                           # one transaction, durable on return
    store.finish_listing()                              # documents that vanished get their row
    store.end_pass("finished")
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from thresher.closing import Closing
from thresher.jobs.cells import RESULT_COLUMNS, result_cells, to_blob, to_json
from thresher.jobs.database import Database
from thresher.jobs.listing import Listing
from thresher.jobs.passes import Outcome, Pace, PassFacts, add_pace, end_pass, insert_pass
from thresher.jobs.records import Commit, DocumentState, LeftToDo, ListedDocument, RunFacts
from thresher.types import FAILURE_STATUSES


class JobStore(Closing):
    """Writes one job. Holds the job's lock from ``open`` to ``close``; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self.folder = database.folder
        self._database = database
        self._run_id = 0
        self._listing = Listing(database, self._run_id)
        self._pass_id: int | None = None
        self._pass_start = 0.0

    @classmethod
    def open(cls, folder: Path) -> JobStore:
        """Open or make the job in ``folder`` for writing.

        Raises:
            JobLockedError: another process writes to it.
            JobError: the folder cannot be used; the message says why.
        """
        return cls(Database.open(folder))

    def close(self) -> None:
        """Close the file and free the lock; may be called twice."""
        self._database.close()

    def latest_run(self) -> RunFacts | None:
        """The facts of the run used last, if there is any."""
        rows = self._database.query("SELECT facts FROM runs ORDER BY last_used DESC LIMIT 1")
        return RunFacts.from_json(rows[0][0]) if rows else None

    def begin_run(self, facts: RunFacts) -> bool:
        """Go on with the run of equal fingerprint, or start a new one. True when it went on with an old one."""
        number = "SELECT run_id FROM runs WHERE fingerprint = ?"
        with self._database.transaction() as connection:
            old = self._database.query(number, facts.fingerprint)
            connection.execute(
                """
                INSERT INTO runs (fingerprint, facts, last_used)
                VALUES (?, ?, 1 + (SELECT COALESCE(MAX(last_used), 0) FROM runs))
                ON CONFLICT (fingerprint) DO UPDATE SET facts = excluded.facts, last_used = excluded.last_used
                """,
                (facts.fingerprint, facts.to_json()),
            )
            self._run_id = self._database.query(number, facts.fingerprint)[0][0]
        self._listing = Listing(self._database, self._run_id)
        return bool(old)

    def begin_pass(self, facts: PassFacts) -> None:
        """From here on, note the pace of the commits."""
        with self._database.transaction() as connection:
            self._pass_id = insert_pass(connection, self._run_id, facts)
        self._pass_start = time.monotonic()

    def end_pass(self, outcome: Outcome) -> None:
        """The pass that was begun is over."""
        if self._pass_id is None:
            return
        with self._database.transaction() as connection:
            end_pass(connection, self._pass_id, time.monotonic() - self._pass_start, outcome)
        self._pass_id = None

    @contextlib.contextmanager
    def listing(self) -> Iterator[Callable[[Iterable[ListedDocument]], int]]:
        """Take down which documents the run is about; ``add`` returns how many were listed so far.

        The new listing replaces the one before only when the block ends without an error.
        """
        self._listing = Listing.begin(self._database, self._run_id)
        yield self._listing.add
        self._listing.complete()

    def finish_listing(self) -> int:
        """Give every listed document that still has no row its failure; returns how many there were."""
        return self._listing.finish()

    def states(self, document_ids: Sequence[str]) -> dict[str, DocumentState]:
        """What the store knows of documents of the present listing; others are left out."""
        return self._listing.states(document_ids)

    def left_to_do(self) -> LeftToDo:
        """The documents of the present listing that have no row yet."""
        return self._listing.left_to_do()

    def scored_contents(self, content_hashes: Sequence[str]) -> set[str]:
        """Those contents (SHA-256 in hex) that have a stored result in this run."""
        marks = ",".join("?" * len(content_hashes))
        rows = self._database.query(
            f"SELECT DISTINCT content_sha256 FROM results WHERE run_id = ? AND content_sha256 IN ({marks})",
            self._run_id,
            *map(to_blob, content_hashes),
        )
        return {row[0].hex() for row in rows}

    def forget_failures(self) -> int:
        """Drop the stored failures of the run, so that they are tried again; returns how many."""
        failures = ",".join(f"'{status}'" for status in sorted(FAILURE_STATUSES))
        with self._database.transaction() as connection:
            unreadable = connection.execute(
                "UPDATE documents SET unreadable_reason = NULL WHERE run_id = ? AND unreadable_reason IS NOT NULL",
                (self._run_id,),
            ).rowcount
            scored = connection.execute(
                f"DELETE FROM results WHERE run_id = ? AND status IN ({failures})",
                (self._run_id,),
            ).rowcount
        return unreadable + scored

    def commit(self, commit: Commit) -> None:
        """Store everything in ``commit`` in one transaction; it is on the disk when this returns.

        Raises:
            DiskFullError: nothing of this commit is stored, everything before it is.
        """
        packed = [(to_blob(key), zlib.compress(text.encode("utf-8", "replace"), 1)) for key, text in commit.texts]
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE documents SET content_sha256 = ?, unreadable_reason = ? WHERE run_id = ? AND document_id = ?",
                [(to_blob(r.content_sha256), r.unreadable_reason, self._run_id, r.document_id) for r in commit.reads],
            )
            connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", packed)
            connection.executemany(
                f"INSERT OR REPLACE INTO results ({RESULT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [result_cells(self._run_id, result) for result in commit.results],
            )
            if self._pass_id is not None:
                add_pace(connection, self._pass_id, self._pace(commit))

    def _pace(self, commit: Commit) -> Pace:
        return Pace(
            second=int(time.monotonic() - self._pass_start),
            documents=len(commit.reads),
            computed_tokens=commit.computed_tokens,
            cached_tokens=commit.cached_tokens,
        )

    def has_content_free(self) -> bool:
        """Whether the run knows what its model says to texts without content."""
        return bool(self._database.query("SELECT 1 FROM content_free WHERE run_id = ? LIMIT 1", self._run_id))

    def store_content_free(self, probabilities: Mapping[str, Mapping[str, float]]) -> None:
        """Keep what the run's model says to texts without content: question -> label -> probability."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO content_free VALUES (?, ?, ?)",
                [(self._run_id, question, to_json(shares)) for question, shares in probabilities.items()],
            )
