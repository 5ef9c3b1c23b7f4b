"""YAML nodes with their lines: what a reader of task files needs to say where a mistake is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from thresher.errors import TaskError
from thresher.suggestions import did_you_mean

_LARGEST_FILE_BYTES = 10 * 1024 * 1024
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


def parse(file: Path) -> Node:
    """The root node of a YAML file. Raises ``TaskError``."""
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


def line_of(node: Node) -> int:
    """The line that ``node`` begins on, counted from 1."""
    return int(node.start_mark.line) + 1


class NodeReader:
    """Reads the nodes of one file; nodes know their lines, plain dicts would not."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def mapping(self, node: Node, what: str, known: Sequence[str]) -> dict[str, Node]:
        """A mapping's values by their keys, each of which must be one of ``known``."""
        if not isinstance(node, MappingNode):
            raise self.error(node, f"{what} must be a mapping with the keys {', '.join(known)}")
        fields: dict[str, Node] = {}
        for key_node, value in node.value:
            key = self.text(key_node, "a key")
            if key not in known:
                hint = did_you_mean(key, known) or f"; known keys: {', '.join(known)}"
                raise self.error(key_node, f"unknown key {key!r} in {what}{hint}")
            if key in fields:
                raise self.error(key_node, f"{key!r} is given twice; remove one")
            fields[key] = value
        return fields

    def text(self, node: Node, what: str) -> str:
        """A scalar's own words."""
        if not isinstance(node, ScalarNode):
            raise self.error(node, f"{what} must be text")
        # "no" and "2024" are fine names for labels, so a scalar's own words count, not its YAML type
        return "" if node.tag == "tag:yaml.org,2002:null" and node.style is None else str(node.value)

    def number(self, node: Node, what: str) -> float:
        """A number."""
        try:
            return float(self.text(node, what))
        except ValueError as error:
            raise self.error(node, f"{what} is {self.text(node, what)!r}; it must be a number") from error

    def integer(self, node: Node, what: str) -> int:
        """A whole number."""
        text = self.text(node, what)
        if not _INTEGER.fullmatch(text):
            raise self.error(node, f"{what} is {text!r}; it must be a whole number")
        return int(text)

    def error(self, node: Node, message: str) -> TaskError:
        """The error at ``node``, to be raised."""
        return TaskError(f"{self._file}, line {line_of(node)}: {message}")
