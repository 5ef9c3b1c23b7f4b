"""From the probabilities of a question's answers to what is stored: label, probability, status."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from thresher.answers import Answer
from thresher.tasks.question import Kind

#: The threshold of "rather yes than no", which an endpoint keeps to without saying how sure it is.
_EVEN = 0.5


class Decided(Protocol):
    """What a verdict needs to know of a question."""

    @property
    def name(self) -> str:
        """The ``question`` column of its rows."""

    @property
    def kind(self) -> Kind:
        """What kind of answer it has."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The possible answers, in the order of their probabilities."""

    @property
    def threshold(self) -> float:
        """Least probability of a label of ``multi``."""

    @property
    def abstain_below(self) -> float:
        """Least probability of an answer that is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one question comes to for one document. An abstained verdict keeps its figures and has no label."""

    question: str
    label: str | tuple[str, ...] | None
    probability: float | None  # of the label, or of the one that was too doubtful to give; None where it is unknown
    probabilities: Mapping[str, float]  # empty where they are unknown
    label_mass: float | None
    expected: float | None = None
    abstained: bool = False


def reach_verdict(question: Decided, answers: Sequence[Answer]) -> Verdict:
    """The verdict on ``answers``: one, or for ``multi`` one for each label (the probability of yes comes first).

    Where a probability is unknown and the question sets a limit for it, the verdict is abstained: nothing says that
    the limit is kept.
    """
    label, probability, probabilities = _decide_each(question, answers) if question.kind == "multi" else _decide(
        question, answers[0]
    )  # fmt: skip
    if probability is None:
        abstained = question.abstain_below > 0 or (question.kind == "multi" and question.threshold != _EVEN)
    else:
        abstained = probability < question.abstain_below
    return Verdict(
        question=question.name,
        label=None if abstained else label,
        probability=probability,
        probabilities=probabilities,
        label_mass=_least([answer.label_mass for answer in answers]),
        expected=_mean(probabilities) if question.kind == "score" and probabilities else None,
        abstained=abstained,
    )


def _decide(question: Decided, answer: Answer) -> tuple[str, float | None, dict[str, float]]:
    labels = question.label_names
    if answer.choice is not None:
        return labels[answer.choice], None, {}
    best = answer.best
    return labels[best], answer.probabilities[best], dict(zip(labels, answer.probabilities, strict=True))


def _decide_each(
    question: Decided, answers: Sequence[Answer]
) -> tuple[tuple[str, ...], float | None, dict[str, float]]:
    """Labels at or over the threshold; the probability is the product over the decisions."""
    pairs = list(zip(question.label_names, answers, strict=True))
    if any(answer.choice is not None for answer in answers):
        chosen = tuple(label for label, answer in pairs if _says_yes(answer, question.threshold))
        return chosen, None, {}
    yes = {label: answer.probabilities[0] for label, answer in pairs}
    chosen = tuple(label for label, p in yes.items() if p >= question.threshold)
    return chosen, math.prod(p if label in chosen else 1.0 - p for label, p in yes.items()), yes


def _says_yes(answer: Answer, threshold: float) -> bool:
    return answer.choice == 0 if answer.choice is not None else answer.probabilities[0] >= threshold


def _mean(probabilities: Mapping[str, float]) -> float:
    return math.fsum(int(score) * p for score, p in probabilities.items())


def _least(masses: Sequence[float | None]) -> float | None:
    known = [mass for mass in masses if mass is not None]
    return min(known) if len(known) == len(masses) else None
