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
import itertools
import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from thresher.closing import Closing
from thresher.errors import InputError
from thresher.jobs.location import connect, prepare_folder, translated_errors, writer_lock
from thresher.jobs.passes import Outcome, Pace, PassFacts, add_pace, end_pass, insert_pass
from thresher.jobs.records import Commit, DocumentState, LeftToDo, ListedDocument, Result, RunFacts
from thresher.types import FAILURE_STATUSES, ReplyForm

_LISTING_BATCH = 2_000
_VANISHED = "the document was listed and then was gone before it could be read"
#: Files whose size is the size of their text. Of others, a PDF say, it tells nothing.
_PLAIN_TEXT = (".txt", ".md", ".log", ".csv", ".jsonl", ".json", ".tex", ".rst")
_RESULT_COLUMNS = (
    "run_id, content_sha256, question, status, label, probability, probabilities, label_mass, expected, "
    "document_tokens, truncated_tokens, prompt_tokens, cached_tokens, error"
)


class JobStore(Closing):
    """Writes one job. Holds the job's lock from ``open`` to ``close``; safe to use from several threads."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, resources: contextlib.ExitStack) -> None:
        self.folder = folder
        self._connection = connection
        self._resources = resources
        self._mutex = threading.RLock()
        self._run_id = 0
        self._listing = 0
        self._pass_id: int | None = None
        self._pass_start = 0.0

    @classmethod
    def open(cls, folder: Path) -> JobStore:
        """Open or make the job in ``folder`` for writing.

        Raises:
            JobLockedError: another process writes to it.
            JobError: the folder cannot be used; the message says why.
        """
        prepare_folder(folder)
        with contextlib.ExitStack() as stack:
            stack.enter_context(writer_lock(folder))
            connection = connect(folder)
            stack.callback(connection.close)
            return cls(folder, connection, stack.pop_all())

    def close(self) -> None:
        """Close the file and free the lock; may be called twice."""
        self._resources.close()

    def latest_run(self) -> RunFacts | None:
        """The facts of the run used last, if there is any."""
        rows = self._query("SELECT facts FROM runs ORDER BY last_used DESC LIMIT 1")
        return RunFacts.from_json(rows[0][0]) if rows else None

    def begin_run(self, facts: RunFacts) -> bool:
        """Go on with the run of equal fingerprint, or start a new one. True when it went on with an old one."""
        with self._transaction():
            old = self._query("SELECT run_id FROM runs WHERE fingerprint = ?", facts.fingerprint)
            self._connection.execute(
                """
                INSERT INTO runs (fingerprint, facts, last_used)
                VALUES (?, ?, 1 + (SELECT COALESCE(MAX(last_used), 0) FROM runs))
                ON CONFLICT (fingerprint) DO UPDATE SET facts = excluded.facts, last_used = excluded.last_used
                """,
                (facts.fingerprint, facts.to_json()),
            )
            self._run_id = self._query("SELECT run_id FROM runs WHERE fingerprint = ?", facts.fingerprint)[0][0]
        return bool(old)

    def begin_pass(self, facts: PassFacts) -> None:
        """From here on, note the pace of the commits."""
        with self._transaction():
            self._pass_id = insert_pass(self._connection, self._run_id, facts)
        self._pass_start = time.monotonic()

    def end_pass(self, outcome: Outcome) -> None:
        """The pass that was begun is over."""
        if self._pass_id is None:
            return
        with self._transaction():
            end_pass(self._connection, self._pass_id, time.monotonic() - self._pass_start, outcome)
        self._pass_id = None

    @contextlib.contextmanager
    def listing(self) -> Iterator[Callable[[Iterable[ListedDocument]], int]]:
        """Take down which documents the run is about; ``add`` returns how many were listed so far.

        The new listing replaces the one before only when the block ends without an error.
        """
        # above the largest used, also by a listing that was cut off
        query = "SELECT 1 + COALESCE(MAX(listing), 0) FROM documents WHERE run_id = ?"
        self._listing = self._query(query, self._run_id)[0][0]
        positions = itertools.count()
        listed = 0

        def add(documents: Iterable[ListedDocument]) -> int:
            nonlocal listed
            iterator = iter(documents)
            while batch := list(itertools.islice(iterator, _LISTING_BATCH)):
                self._list_batch(batch, positions)
                listed += len(batch)
            return listed

        yield add
        with self._transaction():
            self._connection.execute(
                "UPDATE runs SET current_listing = ? WHERE run_id = ?", (self._listing, self._run_id)
            )

    def _list_batch(self, batch: Sequence[ListedDocument], positions: Iterator[int]) -> None:
        rows = [
            (
                self._run_id, d.document_id, next(positions), self._listing, d.source, d.size_bytes, d.mtime_ns,
                _to_json(d.golds or None), _to_blob(d.content_sha256), _reply_form_cell(d.reply_form),
            )
            for d in batch
        ]  # fmt: skip
        with self._transaction():
            before = self._connection.total_changes
            self._connection.executemany(
                """
                INSERT INTO documents (run_id, document_id, position, listing, source, size_bytes, mtime_ns, gold,
                                       content_sha256, reply_form)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (run_id, document_id) DO UPDATE SET
                    position = excluded.position, listing = excluded.listing, source = excluded.source,
                    gold = excluded.gold, reply_form = excluded.reply_form, size_bytes = excluded.size_bytes,
                    mtime_ns = excluded.mtime_ns,
                    content_sha256 = CASE
                        WHEN excluded.content_sha256 IS NOT NULL THEN excluded.content_sha256
                        WHEN documents.source = excluded.source AND documents.size_bytes = excluded.size_bytes
                            AND documents.mtime_ns = excluded.mtime_ns THEN documents.content_sha256 END,
                    unreadable_reason = CASE
                        WHEN documents.source = excluded.source AND documents.size_bytes = excluded.size_bytes
                            AND documents.mtime_ns = excluded.mtime_ns
                            AND (excluded.content_sha256 IS NULL
                                OR excluded.content_sha256 IS documents.content_sha256)
                            THEN documents.unreadable_reason END
                WHERE documents.listing < excluded.listing
                """,
                rows,
            )
            if self._connection.total_changes - before < len(rows):
                raise self._repeated_id(batch)

    def _repeated_id(self, batch: Sequence[ListedDocument]) -> InputError:
        query = "SELECT source FROM documents WHERE run_id = ? AND document_id = ? AND listing = ?"
        seen: dict[str, str] = {}
        for document in batch:
            stored = self._query(query, self._run_id, document.document_id, self._listing)
            first = seen.setdefault(document.document_id, stored[0][0] if stored else document.source)
            if first != document.source:
                return InputError(
                    f"the document id {document.document_id!r} is used twice: by {first} and by {document.source}; "
                    "ids must differ (choose another --id-column, or rename one)"
                )
        return InputError("a document is named twice by the inputs; name each only once")

    def states(self, document_ids: Sequence[str]) -> dict[str, DocumentState]:
        """What the store knows of documents of the present listing; others are left out."""
        marks = ",".join("?" * len(document_ids))
        rows = self._query(
            f"""
            SELECT d.document_id, d.content_sha256, d.unreadable_reason IS NOT NULL, COUNT(r.status) > 0
            FROM documents AS d
            LEFT JOIN results AS r ON r.run_id = d.run_id AND r.content_sha256 = d.content_sha256
            WHERE d.run_id = ? AND d.listing = ? AND d.document_id IN ({marks}) GROUP BY d.document_id
            """,
            self._run_id, self._listing, *document_ids,
        )  # fmt: skip
        return {
            row[0]: DocumentState(
                content_sha256=row[1].hex() if row[1] else None,
                unreadable=bool(row[2]),
                scored=bool(row[3]),
            )
            for row in rows
        }

    def left_to_do(self) -> LeftToDo:
        """The documents of the present listing that have no row yet."""
        plain = " OR ".join(f"d.source LIKE '%{suffix}'" for suffix in _PLAIN_TEXT)
        rows = self._query(
            f"""
            SELECT COUNT(*), COALESCE(SUM(CASE WHEN d.content_sha256 IS NOT NULL OR {plain} THEN d.size_bytes END), 0)
            FROM documents AS d
            WHERE d.run_id = ? AND d.listing = ? AND d.unreadable_reason IS NULL AND NOT EXISTS (
                SELECT 1 FROM results AS r WHERE r.run_id = d.run_id AND r.content_sha256 = d.content_sha256)
            """,
            self._run_id,
            self._listing,
        )
        return LeftToDo(documents=rows[0][0], text_bytes=rows[0][1])

    def scored_contents(self, content_hashes: Sequence[str]) -> set[str]:
        """Those contents (SHA-256 in hex) that have a stored result in this run."""
        marks = ",".join("?" * len(content_hashes))
        rows = self._query(
            f"SELECT DISTINCT content_sha256 FROM results WHERE run_id = ? AND content_sha256 IN ({marks})",
            self._run_id,
            *map(_to_blob, content_hashes),
        )
        return {row[0].hex() for row in rows}

    def forget_failures(self) -> int:
        """Drop the stored failures of the run, so that they are tried again; returns how many."""
        failures = ",".join(f"'{status}'" for status in sorted(FAILURE_STATUSES))
        with self._transaction():
            unreadable = self._connection.execute(
                "UPDATE documents SET unreadable_reason = NULL WHERE run_id = ? AND unreadable_reason IS NOT NULL",
                (self._run_id,),
            ).rowcount
            scored = self._connection.execute(
                f"DELETE FROM results WHERE run_id = ? AND status IN ({failures})",
                (self._run_id,),
            ).rowcount
        return unreadable + scored

    def commit(self, commit: Commit) -> None:
        """Store everything in ``commit`` in one transaction; it is on the disk when this returns.

        Raises:
            DiskFullError: nothing of this commit is stored, everything before it is.
        """
        packed = [(_to_blob(key), zlib.compress(text.encode("utf-8", "replace"), 1)) for key, text in commit.texts]
        with self._transaction():
            self._connection.executemany(
                "UPDATE documents SET content_sha256 = ?, unreadable_reason = ? WHERE run_id = ? AND document_id = ?",
                [(_to_blob(r.content_sha256), r.unreadable_reason, self._run_id, r.document_id) for r in commit.reads],
            )
            self._connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", packed)
            self._connection.executemany(
                f"INSERT OR REPLACE INTO results ({_RESULT_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [self._result_row(result) for result in commit.results],
            )
            if self._pass_id is not None:
                add_pace(self._connection, self._pass_id, self._pace(commit))

    def _pace(self, commit: Commit) -> Pace:
        return Pace(
            second=int(time.monotonic() - self._pass_start),
            documents=len(commit.reads),
            computed_tokens=commit.computed_tokens,
            cached_tokens=commit.cached_tokens,
        )

    def has_content_free(self) -> bool:
        """Whether the run knows what its model says to texts without content."""
        return bool(self._query("SELECT 1 FROM content_free WHERE run_id = ? LIMIT 1", self._run_id))

    def store_content_free(self, probabilities: Mapping[str, Mapping[str, float]]) -> None:
        """Keep what the run's model says to texts without content: question -> label -> probability."""
        with self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO content_free VALUES (?, ?, ?)",
                [(self._run_id, question, _to_json(shares)) for question, shares in probabilities.items()],
            )

    def finish_listing(self) -> int:
        """Give every listed document that still has no row its failure; returns how many there were."""
        with self._transaction():
            return self._connection.execute(
                """
                UPDATE documents SET unreadable_reason = ?
                WHERE run_id = ? AND listing = ? AND unreadable_reason IS NULL AND NOT EXISTS (
                    SELECT 1 FROM results AS r
                    WHERE r.run_id = documents.run_id AND r.content_sha256 = documents.content_sha256)
                """,
                (_VANISHED, self._run_id, self._listing),
            ).rowcount

    def _result_row(self, result: Result) -> tuple[object, ...]:
        return (
            self._run_id, _to_blob(result.content_sha256), result.question, result.status, _label_cell(result.label),
            result.probability, _to_json(result.probabilities), result.label_mass, result.expected,
            result.document_tokens, result.truncated_tokens, result.prompt_tokens, result.cached_tokens, result.error,
        )  # fmt: skip

    def _query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._mutex, translated_errors(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex, translated_errors(self.folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it already
                    self._connection.execute("ROLLBACK")
                raise


def _to_blob(sha256_hex: str | None) -> bytes | None:
    return bytes.fromhex(sha256_hex) if sha256_hex else None


def _label_cell(label: str | tuple[str, ...] | None) -> str | None:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, tuple) else label


def _reply_form_cell(form: ReplyForm | None) -> str | None:
    return None if form is None else json.dumps(asdict(form), ensure_ascii=False)


def _to_json(by_name: Mapping[str, float] | Mapping[str, str] | None) -> str | None:
    return None if by_name is None else json.dumps(by_name, ensure_ascii=False)
