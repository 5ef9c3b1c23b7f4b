"""Tasks as YAML files, made from what a job remembers of its task."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from thresher.errors import TaskError
from thresher.tasks.question import Example
from thresher.tasks.task import DEFAULT_EXAMPLES_TOKENS

_DEFAULT_THRESHOLD = 0.5
#: Line breaks that YAML reads back as line feeds unless they are escaped.
_ODD_BREAK = re.compile("[\r\x85\u2028\u2029]")


def task_yaml(name: str, canonical_json: str, more_examples: Mapping[str, Sequence[Example]]) -> str:
    """A task file.

    Args:
        name: the task's.
        canonical_json: as :meth:`~thresher.tasks.Task.canonical_json` gives it.
        more_examples: question -> examples to put behind those that it has.

    Raises:
        TaskError: there is no task in ``canonical_json``.
    """
    if not canonical_json:
        raise TaskError("there is no task to write: the documents of this job bring their own prompts")
    definition = json.loads(canonical_json)
    questions = [_question(question, more_examples.get(question["name"], ())) for question in definition["questions"]]
    content: dict[str, Any] = {"name": name}
    if definition["instructions"]:
        content["instructions"] = definition["instructions"]
    if definition["examples_tokens"] != DEFAULT_EXAMPLES_TOKENS:
        content["examples_tokens"] = definition["examples_tokens"]
    if len(questions) == 1 and questions[0]["name"] == name and not definition["instructions"]:
        content |= questions[0]
    else:
        content["questions"] = questions
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def _question(canonical: Mapping[str, Any], more_examples: Sequence[Example]) -> dict[str, Any]:
    kind = canonical["kind"]
    found: dict[str, Any] = {"name": canonical["name"]}
    if kind != "choice":
        found["kind"] = kind
    found["instructions"] = canonical["instructions"]
    labels = {label["name"]: label["description"] for label in canonical["labels"]}
    if kind == "score":
        names = list(labels)
        found["range"] = [int(names[0]), int(names[-1])]
    if kind in ("yes_no", "score"):
        labels = {label: description for label, description in labels.items() if description}
    if labels:
        found["labels"] = labels
    if kind == "multi" and canonical["threshold"] != _DEFAULT_THRESHOLD:
        found["threshold"] = canonical["threshold"]
    if canonical["abstain_below"]:
        found["abstain_below"] = canonical["abstain_below"]
    examples = [*canonical["examples"], *({"text": e.text, "label": e.label} for e in more_examples)]
    if examples:
        found["examples"] = [{"text": e["text"], "label": _label(e["label"])} for e in examples]
    return found


def _label(label: str | Sequence[str]) -> str | list[str]:
    return label if isinstance(label, str) else list(label)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, where YAML allows it."""

    def ignore_aliases(self, _: Any) -> bool:
        """No references: a text that occurs twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _ODD_BREAK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
