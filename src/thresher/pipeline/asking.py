"""What a run asks of its documents: the same task of all, or of each what its own request says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from thresher.models import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.pipeline.admission import Admission, LongPolicy
from thresher.tasks import Task, TaskPrompt, build_prompt, document_text
from thresher.types import ChatRequest, Failure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where a document's tokens stand: the prompt around them, and how they fit beside it."""

    task_prompt: TaskPrompt
    admission: Admission


class Ask(Protocol):
    """How one document, or one of many alike, is asked about."""

    def words(self, text: str) -> str:
        """What is to be tokenized of a document with this ``text``."""

    def place(self, tokens: Sequence[int]) -> tuple[Place, Sequence[int]]:
        """The prompt for a document whose words have these tokens, and which of them stand in it as the document."""


class Asking(Protocol):
    """What a run asks, in the tokens of its model. Used from one thread at a time."""

    def of(self, request: ChatRequest | None) -> Ask | Failure:
        """How to ask about a document, which has a ``request`` where it comes from a batch file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingOptions:
    """What asking needs to know of the model and of the user's wishes."""

    tokenizer: Tokenizer
    chat: ChatFormat
    context_tokens: int  # 0 where no limit is known
    bytes_per_token: float | None = None  # of an endpoint without a tokenizer
    long_policy: LongPolicy

    def place(self, task_prompt: TaskPrompt) -> Place:
        """A prompt's place in the context. Raises ``UsageError`` when it leaves no room for a document."""
        admission = Admission(
            context_tokens=self.context_tokens,
            bytes_per_token=self.bytes_per_token,
            prompt=task_prompt.prompt,
            policy=self.long_policy,
            tokenizer=self.tokenizer,
        )
        return Place(task_prompt=task_prompt, admission=admission)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a run is to ask, before its model is known."""

    name: str
    fingerprint: str  # of everything that changes an answer and is not in a document's content hash
    questions: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # question -> its labels, where all have the same
    kinds: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""  # canonical JSON of the task, if it is one


class TaskAsking:
    """One task for all documents.

    Raises:
        TaskError, ModelFormatError: see :func:`~thresher.tasks.build_prompt`.
        UsageError: its words leave no room for a document.
    """

    def __init__(self, task: Task, options: AskingOptions) -> None:
        units = options.bytes_per_token or 1.0
        task_prompt = build_prompt(task, options.tokenizer, options.chat, units_per_token=units)
        self.notices = task_prompt.notices
        self.the_place = options.place(task_prompt)

    def of(self, _: ChatRequest | None) -> Ask:
        """The same for every document."""
        return self

    def words(self, text: str) -> str:
        """The document as it stands in the prompt."""
        return document_text(text)

    def place(self, tokens: Sequence[int]) -> tuple[Place, Sequence[int]]:
        """The one prompt, and all tokens."""
        return self.the_place, tokens


def task_assignment(task: Task) -> Assignment:
    """The assignment of a task."""
    return Assignment(
        name=task.name,
        fingerprint=task.fingerprint,
        questions=tuple(question.name for question in task.questions),
        labels={question.name: question.label_names for question in task.questions},
        kinds={question.name: question.kind for question in task.questions},
        definition=task.canonical_json(),
    )
