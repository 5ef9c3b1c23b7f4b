"""The values that travel along the pipeline. Frozen, standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from thresher.answers import Answer, AnswerTrie

Status = Literal["ok", "truncated", "abstained", "oversize", "unreadable", "engine_error"]

#: Statuses of a row that has an answer (``abstained`` is an answer: "not sure enough").
LABELLED_STATUSES: frozenset[Status] = frozenset({"ok", "truncated", "abstained"})
#: Statuses of a row that is a stored failure.
FAILURE_STATUSES: frozenset[Status] = frozenset({"oversize", "unreadable", "engine_error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document whose text could be read."""

    document_id: str
    source: str  # absolute path, with "#row" for tables
    text: str
    content_sha256: str  # of the file's bytes; for a table row of its text
    gold: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a document, or one question of it, has no label."""

    status: Literal["oversize", "unreadable", "engine_error"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyForm:
    """How a request of a batch file wants its label written: as JSON, alone or as the one property of an object."""

    key: str | None = None  # the object's property
    json_type: Literal["string", "boolean", "integer"] = "string"

    def content(self, label: str) -> str:
        """The whole reply that says ``label``."""
        value = json.dumps(label, ensure_ascii=False) if self.json_type == "string" else label
        return value if self.key is None else f"{{{json.dumps(self.key, ensure_ascii=False)}: {value}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request of a batch file: a conversation that ends with the user's message, and the replies allowed."""

    messages: tuple[tuple[str, str], ...]  # (role, text)
    labels: tuple[str, ...]
    reply_form: ReplyForm | None = None  # None: the reply is the label's own text

    @property
    def text(self) -> str:
        """The message that is to be answered."""
        return self.messages[-1][1]

    @property
    def is_score(self) -> bool:
        """Whether the labels are whole numbers, so that their mean says something."""
        return self.reply_form is not None and self.reply_form.json_type == "integer"

    def replies(self) -> tuple[str, ...]:
        """The replies allowed, in the order of the labels."""
        return self.labels if self.reply_form is None else tuple(map(self.reply_form.content, self.labels))

    def content_sha256(self) -> str:
        """SHA-256 (hex) of everything that decides the answer: all messages and the replies allowed."""
        content = json.dumps([self.messages, self.labels, self.replies()])
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuestionPrompt:
    """The part of a prompt that belongs to one question: what follows the document, and the answers."""

    name: str
    suffix_tokens: tuple[int, ...]
    trie: AnswerTrie


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """What all documents of a task share: the tokens before the document, and the questions after it."""

    prefix_tokens: tuple[int, ...]
    questions: tuple[QuestionPrompt, ...]

    def overhead_tokens(self) -> int:
        """Prompt tokens beside the document's own: prefix, longest suffix and longest answer."""
        return len(self.prefix_tokens) + max(
            len(q.suffix_tokens) + q.trie.longest_answer_tokens for q in self.questions
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One reading of one document (or of one window of it)."""

    request_id: int
    prompt: Prompt
    document_tokens: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """An engine's result for one request: either one answer per question, or a failure."""

    request_id: int
    answers: tuple[Answer, ...] = ()
    failure: Failure | None = None
    computed_tokens: int = 0  # prompt tokens really read for this request
    cached_tokens: int = 0  # prompt tokens taken from the shared prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One stored row: the answer to one question about one document, or its failure."""

    document_id: str
    source: str
    question: str
    status: Status
    label: str | tuple[str, ...] | None = None  # several for a question of kind ``multi``
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    label_mass: float | None = None
    expected: float | None = None
    document_tokens: int | None = None
    truncated_tokens: int = 0
    context: int | None = None
    model: str = ""
    engine: str = ""
    precision: str = ""
    content_sha256: str | None = None
    error: str | None = None
    gold: str | None = None  # as it was written; see thresher.gold
    calibrated_probability: float | None = None  # of the label, where the job has a calibration
    reviewed_label: str | tuple[str, ...] | None = None  # what a person decided; (): no label fits; null: nobody did
    prompt_tokens: int | None = None  # of the whole reading that gave the answer, all its questions included
    cached_tokens: int | None = None  # those of them that the engine had computed for others already
    reply_form: ReplyForm | None = None  # of requests that want JSON
