"""A task: the questions asked of every document."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from thresher.errors import TaskError

Kind = Literal["choice"]
KINDS: tuple[str, ...] = get_args(Kind)

DEFAULT_NAME = "labels"
DEFAULT_INSTRUCTIONS = "Read the document and decide which of the labels fits it best."
#: Changes whenever the wording around a task's own words changes, because that changes answers.
PROMPT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Label:
    """One possible answer, with what it means."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A document with its right label, shown to the model before each document."""

    text: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question with the labels that may answer it."""

    name: str
    labels: tuple[Label, ...]
    instructions: str = DEFAULT_INSTRUCTIONS
    examples: tuple[Example, ...] = ()
    kind: Kind = "choice"

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        _check_labels([label.name for label in self.labels])
        _check_examples(self.examples, [label.name for label in self.labels])

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels' names in the task's order."""
        return tuple(label.name for label in self.labels)


class Task:
    """What to ask of every document.

    Args:
        labels: the possible answers: names, or a mapping of names to descriptions.
        instructions: what the model is told before the labels.
        examples: ``(text, label)`` pairs shown to the model before each document.
        name: names the task's job folder and the ``question`` column.
        kind: ``"choice"``: exactly one label fits.

    Raises:
        TaskError: fewer than two labels, a label twice, an empty or overlong name, or an unknown kind.
    """

    def __init__(
        self,
        labels: Mapping[str, str | None] | Iterable[str],
        *,
        instructions: str | None = None,
        examples: Sequence[tuple[str, str]] = (),
        name: str = DEFAULT_NAME,
        kind: Kind = "choice",
    ) -> None:
        self.name = _checked_name(name)
        question = Question(
            name=self.name,
            labels=_as_labels(labels),
            instructions=(instructions or "").strip() or DEFAULT_INSTRUCTIONS,
            examples=tuple(Example(text, label) for text, label in examples),
            kind=kind,
        )
        self.questions: tuple[Question, ...] = (question,)

    def __repr__(self) -> str:
        return f"Task({list(self.questions[0].label_names)!r}, name={self.name!r})"

    def canonical_json(self) -> str:
        """Everything that changes an answer, as JSON with a fixed order."""
        content = {"prompt_version": PROMPT_VERSION, "questions": [asdict(question) for question in self.questions]}
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that changes an answer."""
        return hashlib.sha256(self.canonical_json().encode("utf-8", "surrogatepass")).hexdigest()


def _as_labels(labels: Mapping[str, str | None] | Iterable[str]) -> tuple[Label, ...]:
    if isinstance(labels, str):
        raise TaskError(f"labels must be a list or a mapping, not the text {labels!r}; write labels=[{labels!r}, ...]")
    if isinstance(labels, Mapping):
        return tuple(Label(name, (text or "").strip()) for name, text in labels.items())
    return tuple(Label(name) for name in labels)


def _check_labels(names: Sequence[object]) -> None:
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise TaskError(f"a label's name is {name!r}; it must be a word or a few words")
        if name != name.strip() or "\n" in name or "\r" in name:
            raise TaskError(f"label {name!r} has white space around it or a line break in it; remove it")
    repeated = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if repeated is not None:
        raise TaskError(f"label {repeated!r} is given twice; remove one or give it another name")
    if not names:
        raise TaskError("there are no labels; give at least two, as in --labels invoice,contract")
    if len(names) == 1:
        raise TaskError(f"there is only one label, {names[0]!r}; a choice needs at least two (add 'other'?)")


def _check_examples(examples: Sequence[Example], names: Sequence[str]) -> None:
    for position, example in enumerate(examples, 1):
        if example.label not in names:
            raise TaskError(
                f"example {position} has the label {example.label!r}, which is not a label of the task"
                f"{did_you_mean(example.label, names)}"
            )
        if not example.text.strip():
            raise TaskError(f"example {position} has no text; give the document's text or remove the example")


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise TaskError(f"kind {kind!r} is not known to this version; use one of: {known}")


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        raise TaskError(f"the task's name is {name!r}; it must be 1 to 100 characters")
    return name.strip()


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'lease'?"`` for the nearest of ``known``, or an empty string."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""
