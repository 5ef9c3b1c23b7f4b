"""A job as its readers see it: counts and rows of the latest run. Readers are never locked out."""

from __future__ import annotations

import itertools
import json
import sqlite3
import zlib
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from thresher.closing import Closing
from thresher.jobs.calibrations import stored_calibrations, stored_content_free
from thresher.jobs.location import connect, existing_database, translated_errors
from thresher.jobs.passes import PassRecord, passes_of
from thresher.jobs.records import BriefRow, JobCounts, RunFacts
from thresher.types import Prediction, ReplyForm

_GROUPS_QUERY = """
SELECT r.question, r.status, r.label, COUNT(*)
FROM documents AS d JOIN results AS r ON r.run_id = d.run_id AND r.content_sha256 = d.content_sha256
WHERE d.run_id = :run AND d.listing >= :listing AND d.unreadable_reason IS NULL
GROUP BY r.question, r.status, r.label
"""
_ROWS_QUERY = """
SELECT d.document_id, d.source, d.gold, d.reply_form, d.content_sha256, d.unreadable_reason,
       r.question, r.status, r.label, r.probability, r.probabilities, r.label_mass, r.expected,
       r.document_tokens, r.truncated_tokens, r.prompt_tokens, r.cached_tokens, r.error
FROM documents AS d
LEFT JOIN results AS r ON r.run_id = d.run_id AND r.content_sha256 = d.content_sha256 AND d.unreadable_reason IS NULL
WHERE d.run_id = :run AND d.listing >= :listing AND (r.question IS NOT NULL OR d.unreadable_reason IS NOT NULL)
ORDER BY d.position, d.document_id
"""
_BRIEF_QUERY = """
SELECT d.document_id, d.position, lower(hex(d.content_sha256)), d.gold IS NOT NULL, r.question,
       CASE WHEN d.unreadable_reason IS NULL THEN r.status ELSE 'unreadable' END, r.label, r.probability
FROM documents AS d
LEFT JOIN results AS r ON r.run_id = d.run_id AND r.content_sha256 = d.content_sha256 AND d.unreadable_reason IS NULL
WHERE d.run_id = :run AND d.listing >= :listing AND (r.question IS NOT NULL OR d.unreadable_reason IS NOT NULL)
"""
_ONE_QUERY = _ROWS_QUERY.replace("ORDER BY", "AND d.document_id = :document ORDER BY")


class JobView(Closing):
    """Reads one job. ``run`` is None as long as nothing was begun in it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        with translated_errors(folder):
            row = connection.execute(
                "SELECT run_id, current_listing, facts FROM runs ORDER BY last_used DESC LIMIT 1"
            ).fetchone()
        self.run: RunFacts | None = RunFacts.from_json(row[2]) if row else None
        self._order = {question: place for place, question in enumerate(self.run.questions)} if self.run else {}
        self._scope = {"run": row[0], "listing": row[1]} if row else {"run": 0, "listing": 0}
        #: Question -> what turns its probabilities into calibrated ones.
        self.calibrations = stored_calibrations(folder, connection, self._scope["run"])

    @classmethod
    def open(cls, folder: Path) -> JobView:
        """Open the job in ``folder`` for reading.

        Raises:
            JobError: there is no job in it, or it cannot be read.
        """
        existing_database(folder)
        return cls(folder, connect(folder, read_only=True))

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

    def counts(self) -> JobCounts:
        """Where the latest run stands, from one consistent state of the file."""
        with translated_errors(self.folder):
            self._connection.execute("BEGIN")
            try:
                return self._counts()
            finally:
                self._connection.execute("ROLLBACK")

    def _counts(self) -> JobCounts:
        documents, read, distinct, unreadable = self._all(
            "SELECT COUNT(*), COUNT(d.content_sha256), COUNT(DISTINCT d.content_sha256), COUNT(d.unreadable_reason) "
            "FROM documents AS d WHERE d.run_id = :run AND d.listing >= :listing"
        )[0]
        questions = len(self.run.questions) if self.run else 1
        statuses: dict[str, int] = {"unreadable": unreadable * questions} if unreadable else {}
        label_counts: dict[str, dict[str, int]] = {
            question: dict.fromkeys(labels, 0) for question, labels in (self.run.labels if self.run else {}).items()
        }
        rows = 0
        for question, status, label, count in self._all(_GROUPS_QUERY):
            rows += count
            statuses[status] = statuses.get(status, 0) + count
            for name in self._labels(question, label):
                label_counts.setdefault(question, {}).setdefault(name, 0)
                label_counts[question][name] += count
        return JobCounts(
            documents=documents,
            duplicates=read - distinct,
            left=documents - rows // questions - unreadable,
            statuses=statuses,
            label_counts=label_counts,
        )

    def rows(self) -> Iterator[Prediction]:
        """Every finished row of the latest run, in the order of its listing; memory stays bounded."""
        if self.run is None:
            return
        with translated_errors(self.folder):
            rows = self._connection.execute(_ROWS_QUERY, self._scope)
            for _, of_document in itertools.groupby(rows, key=itemgetter(0)):
                found = [p for row in of_document for p in self._predictions(self.run, row)]
                yield from sorted(found, key=lambda prediction: self._order.get(prediction.question, 0))

    def content_free(self) -> dict[str, dict[str, float]]:
        """Question -> label -> mean probability on texts without content; empty where they were not read."""
        return stored_content_free(self.folder, self._connection, self._scope["run"])

    def has_gold(self) -> bool:
        """Whether any document of the latest run has a gold label."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM documents AS d "
            "WHERE d.run_id = :run AND d.listing >= :listing AND d.gold IS NOT NULL)"
        )
        with translated_errors(self.folder):
            return bool(self._all(query)[0][0])

    def passes(self, most_stretches: int = 60) -> tuple[PassRecord, ...]:
        """The passes of the latest run, the oldest first; the pace of each in ``most_stretches`` stretches at most."""
        with translated_errors(self.folder):
            return passes_of(self._connection, self._scope["run"], most_stretches)

    def brief_rows(self) -> Iterator[BriefRow]:
        """Every finished row of the latest run in no order, with little of each."""
        if self.run is None:
            return
        with translated_errors(self.folder):
            for row in self._connection.execute(_BRIEF_QUERY, self._scope):
                document_id, position, content, has_gold, question, *answer = row
                for name in self.run.questions if question is None else (question,):
                    yield BriefRow(document_id, position, content or None, bool(has_gold), name, *answer)

    def rows_of(self, document_id: str) -> list[Prediction]:
        """The rows of one document of the latest run; none where it has none."""
        if self.run is None:
            return []
        with translated_errors(self.folder):
            rows = self._connection.execute(_ONE_QUERY, {**self._scope, "document": document_id}).fetchall()
        return [prediction for row in rows for prediction in self._predictions(self.run, row)]

    def text(self, content_sha256: str) -> str | None:
        """The stored text of a content, or None when texts are not kept."""
        with translated_errors(self.folder):
            row = self._connection.execute(
                "SELECT text_zlib FROM texts WHERE content_sha256 = ?", (bytes.fromhex(content_sha256),)
            ).fetchone()
        return zlib.decompress(row[0]).decode("utf-8") if row else None

    def _predictions(self, run: RunFacts, row: tuple[Any, ...]) -> Iterator[Prediction]:
        document_id, source, golds, reply_form, content, unreadable_reason, question, status, *answer, error = row
        label, probability, probabilities, label_mass, expected, *tokens = answer
        document_tokens, truncated_tokens, prompt_tokens, cached_tokens = tokens
        several = label is not None and self._is_multi(question)
        common: dict[str, Any] = {
            "document_id": document_id, "source": source,
            "content_sha256": content.hex() if content else None,
            "reply_form": ReplyForm(**json.loads(reply_form)) if reply_form else None,
            "model": run.model, "engine": run.engine, "precision": run.precision, "context": run.context_tokens or None,
        }  # fmt: skip
        if unreadable_reason is not None:
            for name in run.questions:
                yield Prediction(
                    **common, question=name, status="unreadable", error=unreadable_reason, gold=_gold(golds, name)
                )
            return
        shares: dict[str, float] = json.loads(probabilities) if probabilities is not None else {}
        named = tuple(json.loads(label)) if several else label
        calibration = self.calibrations.get(question)
        yield Prediction(
            **common,
            question=question,
            status=status,
            label=named,
            probability=probability,
            probabilities=shares,
            calibrated_probability=calibration.of_label(named, shares) if calibration and named is not None else None,
            gold=_gold(golds, question),
            label_mass=label_mass,
            expected=expected,
            document_tokens=document_tokens,
            truncated_tokens=truncated_tokens,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            error=error,
        )

    def _labels(self, question: str, stored: str | None) -> list[str]:
        if stored is None:
            return []
        return json.loads(stored) if self._is_multi(question) else [stored]

    def _is_multi(self, question: str) -> bool:
        return self.run is not None and self.run.kinds.get(question) == "multi"

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, self._scope).fetchall()


def _gold(stored: str | None, question: str) -> str | None:
    """The gold label of a question; of older jobs nothing says which question it answers."""
    if stored is None:
        return None
    golds: dict[str, str] = json.loads(stored)
    return golds.get(question, golds.get(""))
