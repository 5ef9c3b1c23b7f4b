"""What a person decided about a row, and how a row is named so that the decision outlives runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

#: ``accept``: the model's label is right. ``correct``: another one is, or none of the question's. ``skip``: looked at
#: and left open.
Action = Literal["accept", "correct", "skip"]
#: How a row came before the person: ``doubtful`` first, in ``random`` order, or ``picked`` by hand from the list.
Queue = Literal["doubtful", "random", "picked"]
QUEUES: tuple[Queue, ...] = get_args(Queue)

ReviewedLabel = str | tuple[str, ...]  # several for a question of kind ``multi``; () of any kind: no label fits


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDecision:
    """What a person decides about one question of one document."""

    question: str
    subject: str  # see subject_of
    document_id: str  # the document that the person looked at; others may have the same content
    action: Action
    label: ReviewedLabel | None  # the right one; None for ``skip``
    model_label: ReviewedLabel | None  # what the model said then; None: nothing
    queue: Queue
    run_fingerprint: str
    reviewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(NewDecision):
    """A decision as it is stored."""

    decision_id: int  # grows with time
    decided_at: str  # ISO 8601, UTC, milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOutcome:
    """What became of an attempt to decide or to take back."""

    stored: bool  # False: the row had another decision than the one the person had seen
    standing: Decision | None  # the decision of the row now; None: it has none


def subject_of(content_sha256: str | None, document_id: str) -> str:
    """What a decision is about: the content, so that it holds for equal documents and for later runs.

    A document that could not be read has no content; there it is the document.
    """
    return content_sha256 or f"document:{document_id}"


def sample_key(seed: str, document_id: str) -> str:
    """The place of a document in the random order of a job: sort by it (32 hex digits, uniform, unique in practice).

    The order depends on nothing but ``seed`` and the id. So the first N documents of it are a simple random sample
    without replacement of all documents, whatever was decided before, and they stay one when documents are added, once
    the new ones that fall among them are looked at, too.
    """
    return hashlib.sha256(f"{seed}\0{document_id}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def as_stored_label(value: object) -> ReviewedLabel | None:
    """A label from its JSON: a list stands for several."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(str, value))
    return None if value is None else str(value)
