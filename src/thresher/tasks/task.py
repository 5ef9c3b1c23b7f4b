"""A task: the questions asked of every document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from thresher.errors import TaskError
from thresher.tasks.question import Kind, Question, checked_name

DEFAULT_NAME = "labels"
#: Changes whenever the wording around a task's own words changes, because that changes answers.
PROMPT_VERSION = 2
#: Examples may take so many tokens together; the longest of them are cut to fit.
DEFAULT_EXAMPLES_TOKENS = 4_000


class Task:
    """What to ask of every document: one question, or several over one reading.

    Args:
        labels: of the one question, its possible answers: names, or a mapping of names to descriptions.
        name: names the task's job folder, and the ``question`` column of the one question.
        instructions: of the one question; with ``questions``, what the model is told before all of them.
        questions: several questions, instead of ``labels`` and the other arguments of one.
        examples_tokens: tokens that the examples may take together; the longest are cut to fit, and a notice says so.
        kind, examples, other, threshold, abstain_below, score_range: of the one question, see
            :class:`~thresher.tasks.question.Question`.

    Raises:
        TaskError: the message says what is wrong and the remedy.
    """

    def __init__(
        self,
        labels: Mapping[str, str | None] | Iterable[str] | None = None,
        *,
        name: str = DEFAULT_NAME,
        instructions: str | None = None,
        kind: Kind = "choice",
        examples: Sequence[tuple[str, str | Iterable[str]]] = (),
        other: str | None = None,
        threshold: float | None = None,
        abstain_below: float | None = None,
        score_range: tuple[int, int] | None = None,
        questions: Sequence[Question] | None = None,
        examples_tokens: int = DEFAULT_EXAMPLES_TOKENS,
    ) -> None:
        self.name = checked_name(name)
        self.examples_tokens = _checked_examples_tokens(examples_tokens)
        #: What the model is told before several questions; "" for the usual words.
        self.instructions = ""
        if questions is None:
            question = Question(
                name=self.name, kind=kind, labels=() if labels is None else labels, instructions=instructions,
                examples=examples, other=other, threshold=threshold, abstain_below=abstain_below,
                score_range=score_range,
            )  # fmt: skip
            self.questions: tuple[Question, ...] = (question,)
            return
        _check_alone(labels, kind, examples, other, threshold, abstain_below, score_range)
        self.questions = _checked_questions(questions)
        self.instructions = (instructions or "").strip()

    def __repr__(self) -> str:
        if len(self.questions) == 1:
            return f"Task({list(self.questions[0].label_names)!r}, name={self.name!r})"
        return f"Task(name={self.name!r}, questions={list(self.questions)!r})"

    def canonical_json(self) -> str:
        """Everything that changes an answer, as JSON with a fixed order."""
        content = {
            "prompt_version": PROMPT_VERSION,
            "instructions": self.instructions,
            "examples_tokens": self.examples_tokens,
            "questions": [question.canonical() for question in self.questions],
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that changes an answer."""
        return hashlib.sha256(self.canonical_json().encode("utf-8", "surrogatepass")).hexdigest()


def _check_alone(*of_one_question: object) -> None:
    if any(value not in (None, (), [], "choice") for value in of_one_question):
        raise TaskError("labels, kind, examples and the like belong to each of the questions; move them there")


def _checked_questions(questions: Sequence[Question]) -> tuple[Question, ...]:
    names = [question.name for question in questions]
    if not names:
        raise TaskError("'questions' is empty; give at least one, or use 'labels'")
    repeated = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if repeated is not None:
        raise TaskError(f"two questions are named {repeated!r}; give each its own name")
    return tuple(questions)


def _checked_examples_tokens(tokens: int) -> int:
    if tokens < 1:
        raise TaskError(f"examples_tokens is {tokens}; give at least 1, or no examples")
    return tokens
