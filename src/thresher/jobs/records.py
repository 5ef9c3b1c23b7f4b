"""What goes into a job store and what comes out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from thresher.types import LABELLED_STATUSES, ReplyForm, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run is: all that decides its answers, and what it was called."""

    task: str
    task_fingerprint: str
    questions: tuple[str, ...]
    model: str
    model_fingerprint: str
    engine: str
    precision: str
    context_tokens: int  # 0: a server's, which it does not say
    long_policy: str
    parser_version: str
    inputs: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # question -> its labels
    kinds: Mapping[str, str] = field(default_factory=dict)  # question -> its kind
    definition: str = ""  # canonical JSON of the task; "" where documents bring their own prompts

    @property
    def fingerprint(self) -> str:
        """Task, model and run settings joined; results are shared only between equal fingerprints."""
        parts = (self.engine, self.precision, self.long_policy, str(self.context_tokens), self.parser_version)
        return "|".join((self.task_fingerprint, self.model_fingerprint, *parts))

    def to_json(self) -> str:
        """The facts as JSON, for the store."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RunFacts:
        """The facts from the store."""
        fields = json.loads(text)
        fields["questions"] = tuple(fields["questions"])
        fields["inputs"] = tuple(fields["inputs"])
        fields["labels"] = {question: tuple(labels) for question, labels in fields["labels"].items()}
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDocument:
    """A document as the listing of the inputs names it, before it is read."""

    document_id: str
    source: str
    size_bytes: int
    mtime_ns: int  # of the file, or of the table that the row is in
    golds: Mapping[str, str] = field(default_factory=dict)  # question -> its gold label, as written
    content_sha256: str | None = None  # known at once for rows of tables
    reply_form: ReplyForm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftToDo:
    """What a run has before it."""

    documents: int
    text_bytes: int  # of those documents whose size is that of their text: table rows and plain text files


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentState:
    """What the store already knows of a listed document."""

    content_sha256: str | None
    unreadable: bool
    scored: bool  # its content has a stored result, good or bad


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRead:
    """What reading a listed document gave: the hash of its content, or the reason why not."""

    document_id: str
    content_sha256: str | None = None
    unreadable_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one question about one content, or its failure."""

    content_sha256: str
    question: str
    status: Status
    label: str | tuple[str, ...] | None = None  # several for a question of kind ``multi``
    probability: float | None = None
    probabilities: Mapping[str, float] | None = None
    label_mass: float | None = None
    expected: float | None = None
    document_tokens: int | None = None
    truncated_tokens: int = 0
    prompt_tokens: int | None = None  # of the whole reading that gave the answer
    cached_tokens: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What one transaction stores: documents read, results, and the texts of new contents."""

    reads: tuple[DocumentRead, ...] = ()
    results: tuple[Result, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()  # (content_sha256, text)
    computed_tokens: int = 0  # prompt tokens that were read for these results
    cached_tokens: int = 0


class BriefRow(NamedTuple):
    """What lists of rows show of one; of these a job may have millions."""

    document_id: str
    position: int  # in the listing
    content_sha256: str | None
    has_gold: bool
    question: str
    status: Status
    label: str | None  # as stored: a JSON list for a question of kind ``multi``
    probability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCounts:
    """Where the latest run stands."""

    documents: int
    duplicates: int  # documents whose content another document of the run has too
    left: int  # documents without a stored row
    statuses: Mapping[str, int]  # rows by status
    label_counts: Mapping[str, Mapping[str, int]]  # question -> label -> rows

    @property
    def labelled(self) -> int:
        """Rows with an answer."""
        return sum(count for status, count in self.statuses.items() if status in LABELLED_STATUSES)

    @property
    def failed(self) -> int:
        """Rows that are stored failures."""
        return sum(self.statuses.values()) - self.labelled
