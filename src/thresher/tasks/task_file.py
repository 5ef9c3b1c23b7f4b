"""Task files: YAML to :class:`Task`, with the line of every mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from thresher.errors import TaskError
from thresher.suggestions import did_you_mean
from thresher.tasks.question import KINDS, Kind, Question
from thresher.tasks.task import DEFAULT_EXAMPLES_TOKENS, DEFAULT_NAME, Task
from thresher.tasks.yaml_nodes import NodeReader, line_of, parse

_QUESTION_KEYS = (
    "name", "kind", "instructions", "labels", "other", "examples", "range", "threshold", "abstain_below",
)  # fmt: skip
_TASK_KEYS = (*_QUESTION_KEYS, "examples_tokens", "questions")
#: What a task file with several questions may hold beside them.
_SEVERAL_KEYS = ("name", "instructions", "examples_tokens", "questions")
_EXAMPLE_KEYS = ("text", "label")
_RANGE = re.compile(r"([+-]?[0-9]{1,9})\s*(?:-|to|\.\.)\s*([+-]?[0-9]{1,9})")


def load_task(path: str | os.PathLike[str]) -> Task:
    """Read a task file.

    Raises:
        TaskError: names the file, the line and the remedy.
    """
    file = Path(path)
    return _TaskReader(file).read(parse(file))


class _TaskReader(NodeReader):
    """Makes a task of one file's nodes."""

    def read(self, root: Node) -> Task:
        fields = self.mapping(root, "a task file", _TASK_KEYS)
        name = self.text(fields["name"], "name") if "name" in fields else DEFAULT_NAME
        tokens = DEFAULT_EXAMPLES_TOKENS
        if "examples_tokens" in fields:
            tokens = self.integer(fields["examples_tokens"], "examples_tokens")
        if "questions" in fields:
            return self._several(fields, name, tokens)
        arguments = self._question_arguments(root, fields)
        try:
            return Task(name=name, examples_tokens=tokens, **arguments)
        except TaskError as error:
            raise self.error(self._place(root, fields), str(error)) from error

    def _several(self, fields: Mapping[str, Node], name: str, examples_tokens: int) -> Task:
        alone = next((key for key in fields if key not in _SEVERAL_KEYS), None)
        if alone is not None:
            raise self.error(fields[alone], f"'{alone}' belongs to each of the questions; move it there")
        node = fields["questions"]
        if not isinstance(node, SequenceNode):
            raise self.error(node, "'questions' must be a list of entries with 'name', 'labels' and the like")
        instructions = self.text(fields["instructions"], "instructions") if "instructions" in fields else None
        questions = [self._question(item) for item in node.value]
        try:
            return Task(name=name, instructions=instructions, questions=questions, examples_tokens=examples_tokens)
        except TaskError as error:
            raise self.error(node, str(error)) from error

    def _question(self, node: Node) -> Question:
        fields = self.mapping(node, "a question", _QUESTION_KEYS)
        if "name" not in fields:
            raise self.error(node, "this question has no 'name'; several questions are told apart by their names")
        arguments = self._question_arguments(node, fields)
        try:
            return Question(name=self.text(fields["name"], "name"), **arguments)
        except TaskError as error:
            raise self.error(self._place(node, fields), str(error)) from error

    def _place(self, node: Node, fields: Mapping[str, Node]) -> Node:
        """Where to point when a question as a whole is wrong."""
        return fields.get("labels", node)

    def _question_arguments(self, node: Node, fields: Mapping[str, Node]) -> dict[str, Any]:
        """The arguments of :class:`Question` but its name."""
        kind = self._kind(fields["kind"]) if "kind" in fields else "choice"
        if kind in ("choice", "multi") and "labels" not in fields:
            raise self.error(node, "there is no 'labels'; list the labels under 'labels:'")
        labels = self._labels(fields["labels"]) if "labels" in fields else {}
        arguments: dict[str, Any] = {"kind": kind, "labels": labels}
        for key in ("instructions", "other"):
            if key in fields:
                arguments[key] = self.text(fields[key], key)
        for key in ("threshold", "abstain_below"):
            if key in fields:
                arguments[key] = self.number(fields[key], key)
        if "range" in fields:
            arguments["score_range"] = self._range(fields["range"])
        if "examples" in fields:
            arguments["examples"] = self._examples(fields["examples"], self._answers(kind, arguments))
        return arguments

    def _answers(self, kind: Kind, arguments: Mapping[str, Any]) -> Sequence[str]:
        """The labels that an example may have; a question that is wrong itself is reported later."""
        try:
            checked = {**arguments, "instructions": arguments.get("instructions") or kind}
            return Question(name=kind, **checked).label_names
        except TaskError:
            return list(arguments["labels"])

    def _labels(self, node: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        lines: dict[str, int] = {}
        for name_node, description in self._label_entries(node):
            name = self.text(name_node, "a label's name").strip()
            if not name:
                raise self.error(name_node, "a label has no name; write a word before the colon")
            if name in found:
                first = f"label {name!r} is given twice (first on line {lines[name]})"
                raise self.error(name_node, f"{first}; remove one or give it another name")
            found[name] = description
            lines[name] = line_of(name_node)
        return found

    def _label_entries(self, node: Node) -> list[tuple[Node, str]]:
        if isinstance(node, MappingNode):
            return [(key, self.text(value, "a description")) for key, value in node.value]
        if isinstance(node, SequenceNode):
            entries: list[tuple[Node, str]] = []
            for item in node.value:
                if isinstance(item, MappingNode) and len(item.value) == 1:  # "- lease: rental of a property"
                    key, value = item.value[0]
                    entries.append((key, self.text(value, "a description")))
                else:
                    entries.append((item, ""))
            return entries
        raise self.error(node, "'labels' must be a list of names or a mapping of names to descriptions")

    def _examples(self, node: Node, known: Sequence[str]) -> list[tuple[str, str | list[str]]]:
        if not isinstance(node, SequenceNode):
            raise self.error(node, "'examples' must be a list of entries with 'text' and 'label'")
        examples: list[tuple[str, str | list[str]]] = []
        for item in node.value:
            fields = self.mapping(item, "an example", _EXAMPLE_KEYS)
            missing = next((key for key in _EXAMPLE_KEYS if key not in fields), None)
            if missing:
                raise self.error(item, f"this example has no '{missing}'; an example has 'text' and 'label'")
            examples.append((self.text(fields["text"], "text"), self._example_label(fields["label"], known)))
        return examples

    def _example_label(self, node: Node, known: Sequence[str]) -> str | list[str]:
        if isinstance(node, SequenceNode):
            return [self._known_label(item, known) for item in node.value]
        return self._known_label(node, known)

    def _known_label(self, node: Node, known: Sequence[str]) -> str:
        label = self.text(node, "label").strip()
        if label not in known:
            raise self.error(node, f"{label!r} is not a label of the task{did_you_mean(label, known)}")
        return label

    def _kind(self, node: Node) -> Kind:
        kind = self.text(node, "kind")
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            raise self.error(node, f"kind {kind!r} is not known{hint}; use one of: {', '.join(KINDS)}")
        return cast(Kind, kind)

    def _range(self, node: Node) -> tuple[int, int]:
        if isinstance(node, SequenceNode) and len(node.value) == 2:
            low, high = (self.integer(item, "an end of the range") for item in node.value)
            return low, high
        written = _RANGE.fullmatch(self.text(node, "range")) if isinstance(node, ScalarNode) else None
        if written is None:
            raise self.error(node, "'range' must be the lowest and the highest score, as in range: [1, 5]")
        return int(written[1]), int(written[2])
