from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import TaskError
from thresher.tasks import Example, Question, Task, load_task
from thresher.tasks.task_yaml import task_yaml

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\n\r\x85\u2028 :#-")), min_size=1, max_size=60
).filter(lambda text: text.strip())
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1, max_size=12)
NAMES = WORDS.filter(lambda name: name == name.strip() and "|" not in name and "/" not in name)
DESCRIPTIONS = st.one_of(st.none(), TEXTS)


@st.composite
def questions(draw: st.DrawFn, name: str) -> Question:
    kind = draw(st.sampled_from(["choice", "multi", "yes_no", "score"]))
    threshold = draw(st.sampled_from([None, 0.25]))
    if kind in ("choice", "multi"):
        labels = draw(st.dictionaries(NAMES, DESCRIPTIONS, min_size=2, max_size=4))
    elif kind == "yes_no":
        labels = draw(st.dictionaries(st.sampled_from(["yes", "no"]), DESCRIPTIONS, max_size=2))
    else:
        labels = draw(st.dictionaries(st.sampled_from(["1", "3", "5"]), DESCRIPTIONS, max_size=2))
    plain = Question(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        labels=labels,
        instructions=draw(TEXTS),
        threshold=threshold if kind == "multi" else None,
        abstain_below=draw(st.sampled_from([None, 0.5])),
        score_range=(1, 5) if kind == "score" else None,
    )
    examples = draw(st.lists(st.tuples(TEXTS, st.sampled_from(plain.label_names)), max_size=2))
    return Question(
        name=name,
        kind=plain.kind,
        labels=labels,
        instructions=plain.instructions,
        examples=[(text, [label] if kind == "multi" else label) for text, label in examples],
        threshold=threshold if kind == "multi" else None,
        abstain_below=plain.abstain_below,
        score_range=plain.score_range,
    )


@given(st.data())
def test_a_task_reads_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    asked = [data.draw(questions(name)) for name in data.draw(st.sampled_from([["kind"], ["kind", "tone"], ["other"]]))]
    several = len(asked) > 1
    instructions = data.draw(TEXTS) if several else None
    task = Task(
        name="kind", questions=asked, instructions=instructions, examples_tokens=data.draw(st.integers(1, 9000))
    )
    file = tmp_path_factory.mktemp("task") / "task.yaml"
    file.write_text(task_yaml(task.name, task.canonical_json(), {}), encoding="utf-8")
    again = load_task(file)
    assert again.name == task.name
    assert again.canonical_json() == task.canonical_json()


def test_more_examples_stand_behind_those_that_there_are(tmp_path: Path) -> None:
    task = Task({"a": "first", "b": None}, name="kind", examples=[("old", "a")])
    text = task_yaml(
        "kind", task.canonical_json(), {"kind": [Example("new\n\n  lines\n", "b"), Example("nul \0", "a")]}
    )
    file = tmp_path / "task.yaml"
    file.write_text(text, encoding="utf-8")
    examples = load_task(file).questions[0].examples
    assert examples == (Example("old", "a"), Example("new\n\n  lines\n", "b"), Example("nul \0", "a"))
    assert "text: |" in text  # as people write it
    assert list(yaml.safe_load(text)) == ["name", "instructions", "labels", "examples"]


def test_a_job_without_a_task_has_none_to_write() -> None:
    with pytest.raises(TaskError, match="bring their own prompts"):
        task_yaml("batch", "", {})
