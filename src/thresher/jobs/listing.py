"""Which documents a run is about, and what is known of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from thresher.errors import InputError
from thresher.jobs.cells import reply_form_cell, to_blob, to_json
from thresher.jobs.database import Database
from thresher.jobs.records import DocumentState, LeftToDo, ListedDocument

_BATCH = 2_000
_VANISHED = "the document was listed and then was gone before it could be read"
#: Files whose size is the size of their text. Of others, a PDF say, it tells nothing.
_PLAIN_TEXT = (".txt", ".md", ".log", ".csv", ".jsonl", ".json", ".tex", ".rst")


class Listing:
    """One listing of a run's documents. It counts once it is complete; until then the one before does."""

    def __init__(self, database: Database, run_id: int, number: int = 0) -> None:
        self.number = number  # 0: of no document
        self._database = database
        self._run_id = run_id
        self._positions = itertools.count()
        self._added = 0

    @classmethod
    def begin(cls, database: Database, run_id: int) -> Listing:
        """A new one."""
        # above the largest used, also by a listing that was cut off
        query = "SELECT 1 + COALESCE(MAX(listing), 0) FROM documents WHERE run_id = ?"
        return cls(database, run_id, database.query(query, run_id)[0][0])

    def add(self, documents: Iterable[ListedDocument]) -> int:
        """Take these down, too; returns how many were so far.

        Raises:
            InputError: an id stands for two documents.
        """
        iterator = iter(documents)
        while batch := list(itertools.islice(iterator, _BATCH)):
            self._add_batch(batch)
            self._added += len(batch)
        return self._added

    def complete(self) -> None:
        """From here on this one counts."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET current_listing = ? WHERE run_id = ?", (self.number, self._run_id))

    def _add_batch(self, batch: Sequence[ListedDocument]) -> None:
        rows = [
            (
                self._run_id, d.document_id, next(self._positions), self.number, d.source, d.size_bytes, d.mtime_ns,
                to_json(d.golds or None), to_blob(d.content_sha256), reply_form_cell(d.reply_form),
            )
            for d in batch
        ]  # fmt: skip
        with self._database.transaction() as connection:
            before = connection.total_changes
            connection.executemany(
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
            if connection.total_changes - before < len(rows):
                raise self._repeated_id(batch)

    def _repeated_id(self, batch: Sequence[ListedDocument]) -> InputError:
        query = "SELECT source FROM documents WHERE run_id = ? AND document_id = ? AND listing = ?"
        seen: dict[str, str] = {}
        for document in batch:
            stored = self._database.query(query, self._run_id, document.document_id, self.number)
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
        rows = self._database.query(
            f"""
            SELECT d.document_id, d.content_sha256, d.unreadable_reason IS NOT NULL, COUNT(r.status) > 0
            FROM documents AS d
            LEFT JOIN results AS r ON r.run_id = d.run_id AND r.content_sha256 = d.content_sha256
            WHERE d.run_id = ? AND d.listing = ? AND d.document_id IN ({marks}) GROUP BY d.document_id
            """,
            self._run_id, self.number, *document_ids,
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
        rows = self._database.query(
            f"""
            SELECT COUNT(*), COALESCE(SUM(CASE WHEN d.content_sha256 IS NOT NULL OR {plain} THEN d.size_bytes END), 0)
            FROM documents AS d
            WHERE d.run_id = ? AND d.listing = ? AND d.unreadable_reason IS NULL AND NOT EXISTS (
                SELECT 1 FROM results AS r WHERE r.run_id = d.run_id AND r.content_sha256 = d.content_sha256)
            """,
            self._run_id,
            self.number,
        )
        return LeftToDo(documents=rows[0][0], text_bytes=rows[0][1])

    def finish(self) -> int:
        """Give every listed document that still has no row its failure; returns how many there were."""
        with self._database.transaction() as connection:
            return connection.execute(
                """
                UPDATE documents SET unreadable_reason = ?
                WHERE run_id = ? AND listing = ? AND unreadable_reason IS NULL AND NOT EXISTS (
                    SELECT 1 FROM results AS r
                    WHERE r.run_id = documents.run_id AND r.content_sha256 = documents.content_sha256)
                """,
                (_VANISHED, self._run_id, self.number),
            ).rowcount
