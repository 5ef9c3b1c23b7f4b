"""An index of a job's rows for the review page: a SQLite file beside the job that can be thrown away and made again.

The job's own file is laid out for the one who writes it. Here the rows of the latest run lie in the orders in which
people look at them, and the words of the texts in a full-text index. ``refresh`` takes over what a run going on has
done since; ``index_texts`` goes on with the words, a piece at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from thresher.closing import Closing
from thresher.jobs import BriefRow, JobView, sample_key, subject_of
from thresher.jobs.database import transaction
from thresher.jobs.location import translated_errors
from thresher.review.index_file import INDEX_NAME, open_index
from thresher.review.summary import NO_CONFIDENCE, Summary, summarised

_ROWS_A_TIME = 5_000
_TEXTS_A_TIME = 100
_CHARACTERS_A_TIME = 1_000_000
_FRESH = """
CREATE TEMP TABLE IF NOT EXISTS fresh (
    question, key, document_id, name, position, subject, content_sha256, status, label, confidence, has_gold
);
DELETE FROM fresh;
"""
_TAKE_OVER = (
    "INSERT OR IGNORE INTO contents (content_sha256) SELECT content_sha256 FROM fresh WHERE content_sha256 IS NOT NULL",
    """
    INSERT INTO rows (question, key, document_id, name, position, subject, content_no, status, label, confidence,
                      has_gold)
    SELECT f.question, f.key, f.document_id, f.name, f.position, f.subject, c.content_no, f.status, f.label,
           f.confidence, f.has_gold
    FROM fresh AS f
    LEFT JOIN contents AS c ON c.content_sha256 = f.content_sha256
    LEFT JOIN rows AS r ON r.question = f.question AND r.key = f.key
    WHERE r.row_no IS NULL OR r.label IS NOT f.label
        OR (r.position, r.subject, r.status, r.confidence, r.has_gold)
           <> (f.position, f.subject, f.status, f.confidence, f.has_gold)
    ON CONFLICT (question, key) DO UPDATE SET
        position = excluded.position, subject = excluded.subject, content_no = excluded.content_no,
        status = excluded.status, label = excluded.label, confidence = excluded.confidence, has_gold = excluded.has_gold
    """,
    # the first condition, which is nearly always false, saves asking for each row
    """
    DELETE FROM rows
    WHERE (SELECT COUNT(*) FROM rows) > (SELECT COUNT(*) FROM fresh)
        AND (question, key) NOT IN (SELECT question, key FROM fresh)
    """,
)
# scripts that write no spaces between words, for whose words the tokenizer would take whole sentences
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])"
)


class ReviewIndex(Closing):
    """Writes the index. One thread uses it."""

    def __init__(self, folder: Path, seed: str) -> None:
        self._file = folder / INDEX_NAME
        self._seed = seed
        self._connection = open_index(self._file)
        self._check_origin()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def up_to_date(self, signature: str) -> Summary | None:
        """The figures of the last refresh, if that found the job with this signature."""
        summary = self._fact("summary")
        return Summary.from_json(summary) if summary and self._fact("signature") == signature else None

    def refresh(self, view: JobView, signature: str = "") -> Summary:
        """Take over the rows of the latest run as they are now; readers see the old state until it is complete.

        ``signature`` tells a state of the job's file from others; it is that of before the view is read.
        """
        self._connection.executescript(_FRESH)
        multi = {name for name, kind in (view.run.kinds if view.run else {}).items() if kind == "multi"}
        for rows in _pieces(view.brief_rows(), _ROWS_A_TIME):
            cells = [self._cells(row, several=row.question in multi) for row in rows]
            self._connection.executemany(f"INSERT INTO fresh VALUES ({', '.join('?' * 11)})", cells)
        counts = view.counts()
        with self._transaction():
            for statement in _TAKE_OVER:
                self._connection.execute(statement)
            summary = summarised(self._connection, view.run.questions if view.run else (), counts)
            self._set_fact("summary", summary.to_json())
            self._set_fact("signature", signature)
        return summary

    def index_texts(self, view: JobView, seconds: float) -> bool:
        """Go on with the full-text index for about so many seconds; True when there is no more to do."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self._index_piece(view):
                return True
        return False

    def _cells(self, row: BriefRow, *, several: bool) -> tuple[object, ...]:
        label = row.label if row.label is None or several else json.dumps(row.label, ensure_ascii=False)
        return (
            row.question, sample_key(self._seed, row.document_id), row.document_id, row.document_id.casefold(),
            row.position, subject_of(row.content_sha256, row.document_id), row.content_sha256, row.status, label,
            NO_CONFIDENCE if row.probability is None else row.probability, row.has_gold,
        )  # fmt: skip

    def _index_piece(self, view: JobView) -> bool:
        with self._transaction():
            left = self._connection.execute(
                "SELECT content_no, content_sha256 FROM contents WHERE words_in = 0 LIMIT ?", (_TEXTS_A_TIME,)
            ).fetchall()
            characters = done = 0
            for content_no, content in left:
                text = view.text(content)
                if text is not None:
                    self._connection.execute(
                        "INSERT INTO words (rowid, text) VALUES (?, ?)", (content_no, spaced(text))
                    )
                self._connection.execute(
                    "UPDATE contents SET words_in = ? WHERE content_no = ?", (2 if text is None else 1, content_no)
                )
                characters += len(text or "")
                done += text is not None
                if characters > _CHARACTERS_A_TIME:
                    break
            self._set_fact("searchable", str(int(self._fact("searchable") or 0) + done))
        return bool(left)

    def _check_origin(self) -> None:
        """Throw away what was made with another random order, whose keys would name other documents."""
        with self._transaction():
            if self._fact("seed") != self._seed:
                self._connection.execute("DELETE FROM rows")
                self._connection.execute("DELETE FROM facts WHERE name IN ('summary', 'signature')")
                self._set_fact("seed", self._seed)

    def _fact(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set_fact(self, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated_errors(self._file.parent, INDEX_NAME), transaction(self._connection):
            yield


def spaced(text: str) -> str:
    """The text with spaces around the letters of scripts that write none between words, so that each is found.

    NUL, which ends a query, is a space, too.
    """
    return _UNSPACED.sub(r" \1 ", text).replace("\0", " ")


def _pieces(rows: Iterable[BriefRow], size: int) -> Iterator[list[BriefRow]]:
    iterator = iter(rows)
    while piece := list(itertools.islice(iterator, size)):
        yield piece
