"""What people decided about a job's rows, for those who read: evaluation, export, reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from thresher.jobs.decisions import Decision, sample_key, subject_of
from thresher.jobs.reviews import standing_decisions
from thresher.types import Prediction


@dataclass(frozen=True, slots=True)
class ReviewedLabels:
    """The decisions that stand, as they were when this was opened.

    Decisions belong to contents: one holds for all documents of the same content, and for later runs of the job with
    another model. The label of one may be none of the present task's, if the task has changed since.
    """

    seed: str | None = None
    decisions: Mapping[tuple[str, str], Decision] = field(default_factory=dict)  # (question, subject_of(...))

    @classmethod
    def of_job(cls, folder: Path) -> ReviewedLabels:
        """The decisions beside the job in ``folder``; none where nobody has reviewed it. Raises ``JobError``."""
        seed, decisions = standing_decisions(folder)
        return cls(seed, {(d.question, d.subject): d for d in decisions})

    def of(self, row: Prediction) -> Decision | None:
        """The decision about ``row``. That of an action ``skip`` has the label None: looked at and left open.

        ``decision.queue`` says how the row came before the person: only ``random`` is a sample that tells of the
        whole, ``doubtful`` ones are wrong more often, ``picked`` ones were chosen by hand.
        """
        return self.decisions.get((row.question, subject_of(row.content_sha256, row.document_id)))

    def sample_key(self, document_id: str) -> str | None:
        """Sort documents by it for the random order of the queue ``random``; None where nobody has reviewed yet.

        A proof from a sample needs its documents from the first in this order to the last without a gap; a row of them
        that was skipped is one whose label is not known, not one that is missing. Rows of them that were decided in
        another queue count as well: the order knows nothing of the queues.
        """
        return None if self.seed is None else sample_key(self.seed, document_id)

    def beside(self, rows: Iterable[Prediction]) -> Iterator[Prediction]:
        """``rows`` with their ``reviewed_label``."""
        for row in rows:
            decision = self.of(row)
            yield row if decision is None or decision.label is None else replace(row, reviewed_label=decision.label)
