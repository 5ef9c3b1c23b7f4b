"""Task files: YAML to :class:`Task`, with the line of every mistake."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from thresher.errors import TaskError
from thresher.tasks.task import DEFAULT_NAME, KINDS, Kind, Task, did_you_mean

_KEYS = ("name", "instructions", "labels", "examples", "kind")
_EXAMPLE_KEYS = ("text", "label")
_LARGEST_FILE_BYTES = 10 * 1024 * 1024


def load_task(path: str | os.PathLike[str]) -> Task:
    """Read a task file.

    Raises:
        TaskError: names the file, the line and the remedy.
    """
    file = Path(path)
    return _TaskReader(file).read(_parse(file))


def _parse(file: Path) -> Node:
    try:
        if file.stat().st_size > _LARGEST_FILE_BYTES:
            raise TaskError(f"{file} is larger than {_LARGEST_FILE_BYTES} bytes; a task file is a short YAML file")
        root = yaml.compose(file.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise TaskError(f"task file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"task file {file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TaskError(f"{file}, line {line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise TaskError(f"{file}: not valid YAML: {error}") from error
    if not isinstance(root, Node):
        raise TaskError(f"task file {file} is empty; it needs at least 'labels:'")
    return root


class _TaskReader:
    """Walks the YAML nodes of one file; nodes know their lines, plain dicts would not."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self, root: Node) -> Task:
        fields = self._mapping(root, "a task file", _KEYS)
        if "labels" not in fields:
            raise self._error(root, "there is no 'labels'; list the labels under 'labels:'")
        labels = self._labels(fields["labels"])
        known = list(labels)
        examples = self._examples(fields["examples"], known) if "examples" in fields else []
        kind = self._kind(fields["kind"]) if "kind" in fields else "choice"
        try:
            return Task(
                labels,
                instructions=self._text(fields["instructions"], "instructions") if "instructions" in fields else None,
                examples=examples,
                name=self._text(fields["name"], "name") if "name" in fields else DEFAULT_NAME,
                kind=kind,
            )
        except TaskError as error:
            raise self._error(fields["labels"], str(error)) from error

    def _labels(self, node: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        lines: dict[str, int] = {}
        for name_node, description in self._label_entries(node):
            name = self._text(name_node, "a label's name").strip()
            if not name:
                raise self._error(name_node, "a label has no name; write a word before the colon")
            if name in found:
                first = f"label {name!r} is given twice (first on line {lines[name]})"
                raise self._error(name_node, f"{first}; remove one or give it another name")
            found[name] = description
            lines[name] = _line(name_node)
        return found

    def _label_entries(self, node: Node) -> list[tuple[Node, str]]:
        if isinstance(node, MappingNode):
            return [(key, self._text(value, "a description")) for key, value in node.value]
        if isinstance(node, SequenceNode):
            entries: list[tuple[Node, str]] = []
            for item in node.value:
                if isinstance(item, MappingNode) and len(item.value) == 1:  # "- lease: rental of a property"
                    key, value = item.value[0]
                    entries.append((key, self._text(value, "a description")))
                else:
                    entries.append((item, ""))
            return entries
        raise self._error(node, "'labels' must be a list of names or a mapping of names to descriptions")

    def _examples(self, node: Node, known: Sequence[str]) -> list[tuple[str, str]]:
        if not isinstance(node, SequenceNode):
            raise self._error(node, "'examples' must be a list of entries with 'text' and 'label'")
        examples: list[tuple[str, str]] = []
        for item in node.value:
            fields = self._mapping(item, "an example", _EXAMPLE_KEYS)
            missing = next((key for key in _EXAMPLE_KEYS if key not in fields), None)
            if missing:
                raise self._error(item, f"this example has no '{missing}'; an example has 'text' and 'label'")
            label = self._text(fields["label"], "label").strip()
            if label not in known:
                hint = did_you_mean(label, known)
                raise self._error(fields["label"], f"{label!r} is not a label of the task{hint}")
            examples.append((self._text(fields["text"], "text"), label))
        return examples

    def _kind(self, node: Node) -> Kind:
        kind = self._text(node, "kind")
        if kind != "choice":
            raise self._error(node, f"kind {kind!r} is not known to this version; use one of: {', '.join(KINDS)}")
        return "choice"

    def _mapping(self, node: Node, what: str, known: Sequence[str]) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self._error(node, f"{what} must be a mapping with the keys {', '.join(known)}")
        fields: dict[str, Node] = {}
        for key_node, value in node.value:
            key = self._text(key_node, "a key")
            if key not in known:
                hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
                raise self._error(key_node, f"unknown key {key!r} in {what}{hint}")
            if key in fields:
                raise self._error(key_node, f"{key!r} is given twice; remove one")
            fields[key] = value
        return fields

    def _text(self, node: Node, what: str) -> str:
        if not isinstance(node, ScalarNode):
            raise self._error(node, f"{what} must be text")
        # "no" and "2024" are fine names for labels, so a scalar's own words count, not its YAML type
        return "" if node.tag == "tag:yaml.org,2002:null" and node.style is None else str(node.value)

    def _error(self, node: Node, message: str) -> TaskError:
        return TaskError(f"{self._file}, line {_line(node)}: {message}")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
