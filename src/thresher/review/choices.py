"""The labels that a person can give to a row, with what the model thought of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thresher.errors import UsageError
from thresher.jobs import ReviewedLabel, RunFacts
from thresher.suggestions import did_you_mean
from thresher.types import Prediction

#: So many labels have a key, and of more labels the likeliest so many are shown first.
_KEYS = "123456789"
#: So many labels are listed for choosing with the mouse; of more, one is typed.
_MOST_LISTED = 300
_MOST_SCORES_IN_ORDER = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One label of a row."""

    number: int  # its place among the labels of the question
    label: str
    description: str
    probability: float | None
    of_model: bool
    of_person: bool  # in the decision that stands
    key: str = ""  # on the keyboard

    @property
    def parent(self) -> str:
        """What comes before its own name in a hierarchy, with the slash."""
        head, slash, tail = self.label.rpartition("/")
        return head + slash if head.strip() and tail.strip() else ""

    @property
    def name(self) -> str:
        """Its own name, without the parents'."""
        return self.label[len(self.parent) :]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """All labels of a row: the ``first`` ones with a bar and a key, the ``rest`` to open or to type."""

    kind: str
    instructions: str
    first: tuple[Choice, ...]
    rest: tuple[Choice, ...]

    @property
    def every(self) -> tuple[Choice, ...]:
        """First and rest, in the order of the task."""
        return tuple(sorted((*self.first, *self.rest), key=lambda choice: choice.number))

    @property
    def listed(self) -> bool:
        """Whether the rest is short enough to be listed."""
        return len(self.rest) <= _MOST_LISTED

    def typed(self, text: str) -> str:
        """The label that a person typed: whole, or as much of it as only one label has. Raises ``UsageError``."""
        text = text.strip()
        labels = [choice.label for choice in self.every]
        for matches in (
            [label for label in labels if label == text],
            [label for label in labels if label.casefold() == text.casefold()],
            [label for label in labels if text and text.casefold() in label.casefold()],
        ):
            if len(matches) == 1:
                return matches[0]
        if text and matches:
            raise UsageError(f"{text!r} is part of {len(matches)} labels ({', '.join(matches[:5])}); type more of it")
        raise UsageError(f"{text!r} is not one of the labels{did_you_mean(text, labels)}")

    def chosen(self, numbers: Sequence[str]) -> ReviewedLabel:
        """The labels with these numbers: one, or any for ``multi``. Raises ``UsageError``."""
        labels = {str(choice.number): choice.label for choice in self.every}
        if not all(number in labels for number in numbers) or (self.kind != "multi" and len(numbers) != 1):
            raise UsageError("the labels chosen are none of this question's; load the page again")
        if self.kind == "multi":
            return tuple(label for number, label in labels.items() if number in numbers)
        return labels[numbers[0]]


def choices_of(run: RunFacts, prediction: Prediction, reviewed: ReviewedLabel | None) -> Choices:
    """The labels of ``prediction``'s question; where requests bring their own labels, those of the request."""
    question = prediction.question
    kind = run.kinds.get(question, "choice")
    labels = run.labels.get(question) or tuple(prediction.probabilities)
    definition = _definition(run, question)
    descriptions = {label["name"]: label["description"] for label in definition.get("labels", [])}
    every = [
        Choice(
            number=number,
            label=label,
            description=descriptions.get(label, ""),
            probability=prediction.probabilities.get(label),
            of_model=label in _as_several(prediction.label),
            of_person=label in _as_several(reviewed),
        )
        for number, label in enumerate(labels)
    ]
    first, rest = _split(every, kind)
    return Choices(
        kind=kind, instructions=str(definition.get("instructions", "")), first=_with_keys(first, kind), rest=tuple(rest)
    )


def task_definition(run: RunFacts) -> dict[str, Any]:
    """The task as the job remembers it; empty where there is none."""
    found: dict[str, Any] = json.loads(run.definition) if run.definition else {}
    return found


def _definition(run: RunFacts, question: str) -> Mapping[str, Any]:
    return next((q for q in task_definition(run).get("questions", []) if q["name"] == question), {})


def _split(every: list[Choice], kind: str) -> tuple[list[Choice], list[Choice]]:
    """The labels to show at once, and the others."""
    if len(every) <= len(_KEYS) or (kind == "score" and len(every) <= _MOST_SCORES_IN_ORDER):
        return every, []
    likely = sorted(every, key=lambda choice: (not choice.of_person, -(choice.probability or 0.0), choice.number))
    first = likely[: len(_KEYS)]
    return first, [choice for choice in every if choice not in first]


def _with_keys(choices: list[Choice], kind: str) -> tuple[Choice, ...]:
    """The digit of a score is its key; other labels are numbered as they stand."""
    keys: Sequence[str] = _KEYS
    if kind == "score":
        keys = [choice.label if len(choice.label) == 1 else "" for choice in choices]
    padded = [*keys, *[""] * len(choices)]
    return tuple(replace(choice, key=key) for choice, key in zip(choices, padded, strict=False))


def _as_several(label: ReviewedLabel | None) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (() if label is None else (label,))
