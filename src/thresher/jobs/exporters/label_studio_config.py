"""Label Studio's labelling configuration: a text and one control for each question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from thresher.errors import UsageError
from thresher.jobs.records import RunFacts

TEXT_TAG = "text"
# https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Controls:
    """One control a question: what it offers, and the regions that say what was answered.

    Questions and labels are those of the run; a run whose requests bring their own labels offers all that occur.
    """

    def __init__(self, run: RunFacts | None) -> None:
        self._kinds = dict(run.kinds) if run else {}
        self._labels = {question: dict.fromkeys(labels) for question, labels in (run.labels if run else {}).items()}
        self._settled = frozenset(question for question, labels in self._labels.items() if labels)
        self._names: dict[str, str] = {}
        for question in run.questions if run else ():
            self.add(question, ())

    def add(self, question: str, labels: Iterable[str]) -> None:
        """A question, and labels that it may be answered with."""
        if question not in self._names:
            self._names[question] = self._free_name(question)
            self._labels.setdefault(question, {})
        if question not in self._settled:
            self._labels[question].update(dict.fromkeys(labels))

    def _free_name(self, question: str) -> str:
        name = re.sub(r"[^\w-]+", "_", question).strip("_") or "question"
        taken = {TEXT_TAG, *self._names.values()}
        return next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if n not in taken)

    def kind(self, question: str) -> str:
        """The kind of the question."""
        return self._kinds.get(question, "choice")

    def has_labels(self, question: str, labels: Sequence[str]) -> bool:
        """Whether all of ``labels`` are offered."""
        return all(label in self._labels[question] for label in labels)

    def region(self, question: str, label: str | tuple[str, ...] | None, score: float | None) -> dict[str, Any] | None:
        """The result that gives ``label`` to the question; None where no label applies, which is no result."""
        chosen = [label] if isinstance(label, str) else list(label or ())
        if not chosen:
            return None
        kind, value = ("number", int(chosen[0])) if self.kind(question) == "score" else ("choices", chosen)
        region = {
            "id": self._names[question],
            "from_name": self._names[question],
            "to_name": TEXT_TAG,
            "type": kind,
            "value": {kind: value},
        }
        return region if score is None else {**region, "score": score}

    def to_xml(self) -> str:
        """The configuration. Raises ``UsageError`` for a name that XML cannot hold."""
        view = ElementTree.Element("View")
        _child(view, "Text", name=TEXT_TAG, value=f"${TEXT_TAG}")
        for question, name in self._names.items():
            labels = list(self._labels[question])
            _child(view, "Header", value=question)
            if self.kind(question) == "score":
                _child(view, "Number", name=name, toName=TEXT_TAG, min=labels[0], max=labels[-1], step="1")
                continue
            choice = "multiple" if self.kind(question) == "multi" else "single"
            choices = _child(view, "Choices", name=name, toName=TEXT_TAG, choice=choice)
            for label in labels:
                _child(choices, "Choice", value=label)
        ElementTree.indent(view)
        return ElementTree.tostring(view, encoding="unicode") + "\n"


def _child(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    for value in attributes.values():
        if _NOT_XML.search(value):
            raise UsageError(
                f"{value!r} has a character that XML, and so Label Studio's configuration, cannot hold; rename the "
                "label or question, or export to .jsonl"
            )
    return ElementTree.SubElement(parent, tag, attributes)
