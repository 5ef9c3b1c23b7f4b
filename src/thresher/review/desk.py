"""What happens at the desk where documents are checked: which row comes next, what is known of it, what is decided."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import UsageError
from thresher.jobs import (
    Decision,
    JobView,
    NewDecision,
    Queue,
    ReviewedLabel,
    ReviewLog,
    ReviewOutcome,
    RunFacts,
    sample_key,
)
from thresher.review.choices import Choices, choices_of
from thresher.review.filters import Filters
from thresher.review.rows import Row, Rows
from thresher.types import Prediction

#: A row shown in one tab is not offered to another for so long.
_SET_ASIDE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All that a person needs to decide about one row."""

    row: Row
    prediction: Prediction
    text: str | None  # None: the job keeps none, or the document could not be read
    choices: Choices
    standing: Decision | None
    same_content: int  # documents for which a decision holds, this one included


class Desk:
    """One job under review by one person, in any number of tabs. May be used from several threads."""

    def __init__(self, folder: Path, log: ReviewLog, rows: Rows, reviewer: str) -> None:
        self.folder = folder
        self.log = log
        self.rows = rows
        self.reviewer = reviewer
        self._shown: dict[str, tuple[int, float]] = {}  # tab -> the row that it shows, and since when
        self._mutex = threading.Lock()

    def run(self) -> RunFacts | None:
        """The facts of the latest run."""
        with JobView.open(self.folder) as view:
            return view.run

    def next(self, filters: Filters, after_key: str = "") -> Row | None:
        """The next row to look at: behind the document ``after_key``, and of open rows then from the start again."""
        after = self.rows.one(filters.question, after_key) if after_key else None
        others = self._in_other_tabs(filters.tab)
        found = self.rows.page(filters, 1, after=after, without=others)
        if not found and after is not None and filters.state == "open":
            found = self.rows.page(filters, 1, without=[*others, after.row_no])
        if not found and others and filters.state == "open":  # better shown twice than not at all
            found = self.rows.page(filters, 1)
        return found[0] if found else None

    def sheet(self, question: str, key: str, tab: str = "") -> Sheet | None:
        """What is known of a row; None where the latest run has no such row."""
        row = self.rows.one(question, key)
        if row is None:
            return None
        with JobView.open(self.folder) as view:
            predictions = [p for p in view.rows_of(row.document_id) if p.question == question]
            if view.run is None or not predictions:
                return None
            prediction, run = predictions[0], view.run
            readable = prediction.content_sha256 is not None and prediction.status != "unreadable"
            text = view.text(prediction.content_sha256) if readable and prediction.content_sha256 else None
        standing = self.log.standing(question, row.subject)
        with self._mutex:
            self._shown[tab] = (row.row_no, time.monotonic())
        return Sheet(
            row=row,
            prediction=prediction,
            text=text,
            choices=choices_of(run, prediction, standing.label if standing else None),
            standing=standing,
            same_content=self.rows.same_content(row),
        )

    def decide(
        self, sheet: Sheet, label: ReviewedLabel | None, *, seen: int, queue: Queue, run_fingerprint: str
    ) -> ReviewOutcome:
        """Store that ``label`` is right; (): no label of the question is; None: left open."""
        told = sheet.prediction.label
        return self.log.decide(
            NewDecision(
                question=sheet.row.question,
                subject=sheet.row.subject,
                document_id=sheet.row.document_id,
                action="skip" if label is None else "accept" if _same(label, told) else "correct",
                label=label,
                model_label=told,
                queue=queue,
                run_fingerprint=run_fingerprint,
                reviewer=self.reviewer,
            ),
            seen=seen,
        )

    def key_of(self, decision: Decision) -> str:
        """The key of the document that a decision was made on."""
        return sample_key(self.log.seed, decision.document_id)

    def _in_other_tabs(self, tab: str) -> list[int]:
        oldest = time.monotonic() - _SET_ASIDE_S
        with self._mutex:
            self._shown = {shown_in: entry for shown_in, entry in self._shown.items() if entry[1] >= oldest}
            return [row for shown_in, (row, _) in self._shown.items() if shown_in != tab]


def label_asked_for(form: Mapping[str, list[str]], sheet: Sheet) -> ReviewedLabel | None:
    """The label that a posted form gives; () where none fits, None for a skip.

    Raises:
        UsageError: it gives none, or one that the question does not have.
    """
    choices, told = sheet.choices, sheet.prediction.label
    match form.get("do", ["save"])[0]:
        case "skip":
            return None
        case "none":
            return ()
        case "accept":
            if told is None:
                raise UsageError("the model gave this document no label; choose one")
            return told
        case "typed":
            return choices.typed(form.get("typed", [""])[0])
        case "save":
            return choices.chosen(form.get("choose", []))
        case other:
            raise UsageError(f"the form asks for {other!r}, which is not known; load the page again")


def _same(label: ReviewedLabel, told: ReviewedLabel | None) -> bool:
    if isinstance(label, tuple) and isinstance(told, tuple):
        return set(label) == set(told)
    return label == told
