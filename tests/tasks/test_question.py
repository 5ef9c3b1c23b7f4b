from __future__ import annotations

from typing import Any

import pytest

from thresher.errors import TaskError
from thresher.tasks import Question, Task


def question(**arguments: Any) -> Question:
    return Question(**({"name": "q"} | arguments))


def test_yes_no_and_score_bring_their_own_labels() -> None:
    assert question(kind="yes_no", instructions="Is it urgent?").label_names == ("yes", "no")
    scored = question(kind="score", instructions="How urgent?", score_range=(-1, 2), labels={"2": "at once"})
    assert scored.label_names == ("-1", "0", "1", "2")
    assert scored.labels[3].description == "at once"


def test_other_is_a_last_label_with_its_description() -> None:
    labels = question(labels=["a"], other="none of these").labels
    assert [(label.name, label.description) for label in labels] == [("a", ""), ("other", "none of these")]


def test_multi_takes_a_single_label() -> None:
    assert question(kind="multi", labels=["urgent"]).label_names == ("urgent",)


def test_slashes_make_no_tree_of_a_multi_question() -> None:
    assert question(kind="multi", labels=["a/b", "a/c"]).label_names == ("a/b", "a/c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "yes_no"}, "needs 'instructions'"),
        ({"kind": "score", "instructions": "x"}, "needs its 'range'"),
        ({"kind": "score", "instructions": "x", "score_range": (5, 5)}, "5 to 5 is no scale"),
        ({"kind": "score", "instructions": "x", "score_range": (5, 1)}, "lowest first"),
        ({"kind": "score", "instructions": "x", "score_range": (0, 5000)}, "2 to 1001 whole numbers"),
        ({"kind": "score", "instructions": "x", "score_range": (1, 5), "labels": ["6"]}, "'6' is no possible answer"),
        ({"kind": "yes_no", "instructions": "x", "labels": ["maybe"]}, "the answers are yes and no"),
        ({"kind": "yes_no", "instructions": "x", "other": "y"}, "'other' adds a label to a choice"),
        ({"labels": ["a", "b"], "threshold": 0.5}, "'threshold' belongs to the kind multi"),
        ({"labels": ["a", "b"], "score_range": (1, 2)}, "'range' belongs to the kind score"),
        ({"labels": ["a", "b"], "abstain_below": 1.5}, "abstain_below is 1.5; it is a probability"),
        ({"kind": "multi", "labels": ["a|b"]}, r"'a\|b' has a '\|' in it"),
        ({"kind": "multi", "labels": []}, "there are no labels"),
        ({"labels": ["a", "[]"]}, r"label '\[\]' is how gold labels say that no label applies"),
        ({"labels": ["a", "other"], "other": "x"}, "'other' is given twice"),
        ({"labels": ["a", "b"], "examples": [("t", ["a", "b"])]}, "example 1 has 2 labels"),
        ({"labels": ["l/a", "l/b"], "examples": [("t", "l")]}, "example 1 has the label 'l'"),
        ({"name": " ", "labels": ["a", "b"]}, "the name is ' '"),
    ],
)
def test_what_makes_no_sense_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        question(**arguments)


def test_a_task_of_several_questions() -> None:
    topic, urgent = question(name="topic", labels=["a", "b"]), question(name="urgent", kind="yes_no", instructions="?")
    task = Task(questions=[topic, urgent], name="inbox")
    assert [q.name for q in task.questions] == ["topic", "urgent"]
    assert "topic" in repr(task)
    with pytest.raises(TaskError, match="two questions are named 'topic'"):
        Task(questions=[topic, topic])
    with pytest.raises(TaskError, match="'questions' is empty"):
        Task(questions=[])
    with pytest.raises(TaskError, match="belong to each of the questions"):
        Task(["a", "b"], questions=[topic])
    with pytest.raises(TaskError, match="examples_tokens is 0"):
        Task(["a", "b"], examples_tokens=0)


def test_fingerprints_tell_the_options_apart() -> None:
    labels = ["a", "b"]
    tasks = [
        Task(labels, kind="multi"),
        Task(labels, kind="multi", threshold=0.3),
        Task(labels),
        Task(labels, abstain_below=0.5),
        Task(labels, other="x"),
        Task(labels, examples_tokens=100),
        Task(questions=[question(labels=labels), question(name="z", labels=labels)]),
        Task(questions=[question(labels=labels), question(name="z", labels=labels)], instructions="Read."),
    ]
    assert len({task.fingerprint for task in tasks}) == len(tasks)
