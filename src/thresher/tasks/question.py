"""One question: its kind, its labels, and what is made of its answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from thresher.errors import TaskError
from thresher.gold import LABEL_JOINER
from thresher.suggestions import did_you_mean
from thresher.tasks.labels import Label, LabelNode, as_labels, check_labels, label_tree

Kind = Literal["choice", "multi", "yes_no", "score"]
KINDS: tuple[str, ...] = get_args(Kind)
YES, NO = "yes", "no"
OTHER = "other"

_INSTRUCTIONS: Mapping[str, str] = {
    "choice": "Read the document and decide which of the labels fits it best.",
    "multi": "Read the document and decide for each of the labels whether it applies.",
}
_MOST_SCORES = 1001
_DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Example:
    """A document with its right answer, shown to the model before each document."""

    text: str
    label: str | tuple[str, ...]  # for ``multi`` all labels that apply


class Question:
    """One question asked of every document.

    Args:
        name: the ``question`` column of its rows.
        kind: ``"choice"``: exactly one label; ``"multi"``: any number of them, each asked for with yes or no;
            ``"yes_no"``; ``"score"``: a whole number.
        labels: the possible answers: names, or a mapping of names to descriptions. Names like ``parent/child`` make a
            hierarchy: the parent is asked for first, then its children. ``yes_no`` and ``score`` need none; there the
            descriptions say what an answer means.
        instructions: what the model is told; required for ``yes_no`` and ``score``.
        examples: ``(text, label)`` pairs; for ``multi`` the label is a list of labels.
        other: the description of a last label ``other``, for what no label fits.
        threshold: for ``multi``: a label applies when its probability is at least this.
        abstain_below: an answer of a lower probability gets no label and the status ``abstained``.
        score_range: for ``score``: the lowest and the highest score.

    Raises:
        TaskError: the message says what is wrong and the remedy.
    """

    def __init__(
        self,
        *,
        name: str,
        kind: Kind = "choice",
        labels: Mapping[str, str | None] | Iterable[str] = (),
        instructions: str | None = None,
        examples: Sequence[tuple[str, str | Iterable[str]]] = (),
        other: str | None = None,
        threshold: float | None = None,
        abstain_below: float | None = None,
        score_range: tuple[int, int] | None = None,
    ) -> None:
        self.name = checked_name(name)
        self.kind = _checked_kind(kind)
        _check_options(kind, other=other, threshold=threshold, score_range=score_range)
        self.instructions = _instructions(kind, instructions)
        self.score_range = score_range
        self.labels = _labels(kind, as_labels(labels), other, score_range)
        self.threshold = _probability("threshold", threshold, _DEFAULT_THRESHOLD)
        self.abstain_below = _probability("abstain_below", abstain_below, 0.0)
        #: For ``choice`` the top of the labels' tree; else the labels, side by side.
        self.tree = label_tree(self.labels) if kind == "choice" else tuple(_leaf(label) for label in self.labels)
        #: The possible answers in the task's order; parents of other labels are none.
        self.label_names = tuple(answer for node in self.tree for answer in node.answers())
        self.examples = tuple(self._example(number, *example) for number, example in enumerate(examples, 1))

    def __repr__(self) -> str:
        return f"Question({self.name!r}, {self.kind}, {list(self.label_names)!r})"

    def canonical(self) -> dict[str, Any]:
        """Everything that changes an answer."""
        return {
            "name": self.name,
            "kind": self.kind,
            "labels": [asdict(label) for label in self.labels],
            "instructions": self.instructions,
            "examples": [asdict(example) for example in self.examples],
            "threshold": self.threshold,
            "abstain_below": self.abstain_below,
        }

    def _example(self, number: int, text: str, label: str | Iterable[str]) -> Example:
        named = (label,) if isinstance(label, str) else tuple(label)
        unknown = next((name for name in named if name not in self.label_names), None)
        if unknown is not None:
            raise TaskError(
                f"example {number} has the label {unknown!r}, which is not a label of the task"
                f"{did_you_mean(unknown, self.label_names)}"
            )
        if self.kind != "multi" and len(named) != 1:
            raise TaskError(f"example {number} has {len(named)} labels; a question of kind {self.kind} takes one")
        if not text.strip():
            raise TaskError(f"example {number} has no text; give the document's text or remove the example")
        return Example(text, named if self.kind == "multi" else named[0])


def checked_name(name: object) -> str:
    """A task's or a question's name. Raises ``TaskError``."""
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        raise TaskError(f"the name is {name!r}; it must be 1 to 100 characters")
    return name.strip()


def _checked_kind(kind: Kind) -> Kind:
    if kind not in KINDS:
        raise TaskError(f"kind {kind!r} is not known{did_you_mean(str(kind), KINDS)}; use one of: {', '.join(KINDS)}")
    return kind


def _check_options(kind: Kind, *, other: object, threshold: object, score_range: object) -> None:
    if other is not None and kind not in ("choice", "multi"):
        raise TaskError(f"'other' adds a label to a choice; a question of kind {kind} has none, remove it")
    if threshold is not None and kind != "multi":
        raise TaskError(f"'threshold' belongs to the kind multi, and this question is of kind {kind}; remove it")
    if score_range is not None and kind != "score":
        raise TaskError(f"'range' belongs to the kind score, and this question is of kind {kind}; remove it")


def _instructions(kind: Kind, given: str | None) -> str:
    text = (given or "").strip() or _INSTRUCTIONS.get(kind, "")
    if not text:
        raise TaskError(f"a question of kind {kind} needs 'instructions' that say what is asked")
    return text


def _labels(
    kind: Kind, given: tuple[Label, ...], other: str | None, score_range: tuple[int, int] | None
) -> tuple[Label, ...]:
    if kind == "yes_no":
        return _with_descriptions((YES, NO), given)
    if kind == "score":
        return _with_descriptions(_scores(score_range), given)
    if other is not None:
        given = (*given, Label(OTHER, other.strip()))
    check_labels([label.name for label in given], least=2 if kind == "choice" else 1)
    joined = next((label.name for label in given if kind == "multi" and LABEL_JOINER in label.name), None)
    if joined is not None:
        raise TaskError(f"label {joined!r} has a {LABEL_JOINER!r} in it, which joins labels in CSV; rename it")
    return given


def _with_descriptions(names: Sequence[str], given: Sequence[Label]) -> tuple[Label, ...]:
    described = {label.name: label.description for label in given}
    unknown = next((name for name in described if name not in names), None)
    if unknown is not None:
        span = f"{names[0]} to {names[-1]}" if len(names) > 2 else f"{names[0]} and {names[1]}"
        raise TaskError(f"{unknown!r} is no possible answer of this question; the answers are {span}")
    return tuple(Label(name, described.get(name, "")) for name in names)


def _scores(score_range: tuple[int, int] | None) -> tuple[str, ...]:
    if score_range is None:
        raise TaskError("a question of kind score needs its 'range', as in range: [1, 5]")
    low, high = score_range
    if not 2 <= high - low + 1 <= _MOST_SCORES:
        raise TaskError(f"the range {low} to {high} is no scale; give 2 to {_MOST_SCORES} whole numbers, lowest first")
    return tuple(map(str, range(low, high + 1)))


def _leaf(label: Label) -> LabelNode:
    return LabelNode(label.name, label.name, label.description)


def _probability(what: str, value: float | None, default: float) -> float:
    if value is None:
        return default
    if not 0.0 <= value <= 1.0:
        raise TaskError(f"{what} is {value}; it is a probability, from 0 to 1")
    return float(value)
