"""Figures about all rows of a run, made when the index is refreshed, so that no page counts a million rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from thresher.jobs import JobCounts

#: The confidence of rows without a probability, failures for the most part: sorts them behind all others.
NO_CONFIDENCE = 2.0
CONFIDENCE_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSummary:
    """The rows of one question."""

    rows: int = 0
    labels: Sequence[tuple[str | None, str, int]] = ()  # the model's label as JSON, status, rows
    confidences: Sequence[int] = (0,) * CONFIDENCE_BINS  # rows in each equal part of 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole run."""

    documents: int = 0
    done: int = 0
    questions: Mapping[str, QuestionSummary] = field(default_factory=dict)

    def of(self, question: str) -> QuestionSummary:
        """That of one question."""
        return self.questions.get(question, QuestionSummary())

    def to_json(self) -> str:
        """For the index."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """From the index."""
        fields = json.loads(text)
        questions = {name: QuestionSummary(**figures) for name, figures in fields.pop("questions").items()}
        return cls(**fields, questions=questions)


def summarised(connection: sqlite3.Connection, questions: Sequence[str], counts: JobCounts) -> Summary:
    """The figures of the index's rows, and of the run that they are from."""
    return Summary(
        documents=counts.documents,
        done=counts.documents - counts.left,
        questions={question: _of_question(connection, question) for question in questions},
    )


def _of_question(connection: sqlite3.Connection, question: str) -> QuestionSummary:
    labels = connection.execute(
        "SELECT label, status, COUNT(*) FROM rows WHERE question = ? GROUP BY label, status", (question,)
    ).fetchall()
    bins: dict[int, int] = dict(
        connection.execute(
            "SELECT min(CAST(confidence * ? AS INTEGER), ? - 1), COUNT(*) FROM rows "
            "WHERE question = ? AND confidence <= 1 GROUP BY 1",
            (CONFIDENCE_BINS, CONFIDENCE_BINS, question),
        ).fetchall()
    )
    return QuestionSummary(
        rows=sum(count for *_, count in labels),
        labels=labels,
        confidences=[bins.get(number, 0) for number in range(CONFIDENCE_BINS)],
    )
