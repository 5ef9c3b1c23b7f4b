from __future__ import annotations

from typing import Any

import pytest

from thresher.errors import TaskError
from thresher.tasks import Task


def test_labels_with_and_without_descriptions() -> None:
    assert Task(["a", "b"]).questions[0].label_names == ("a", "b")
    described = Task({"a": "first", "b": None}).questions[0].labels
    assert [label.description for label in described] == ["first", ""]


def test_labels_may_be_in_any_script() -> None:
    names = ("Rechnung", "請求書", "счёт", "فاتورة")
    assert Task(names).questions[0].label_names == names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels"),
        (["only"], "only one label"),
        (["a", "b", "a"], "'a' is given twice"),
        (["a", ""], "must be a word"),
        (["a", " b"], "white space"),
        (["a", "b\nc"], "line break"),
        ("abc", "must be a list"),
        ([1, 2], "must be a word"),
    ],
)
def test_wrong_labels_are_named(labels: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        Task(labels)


def test_500_labels_are_fine() -> None:
    assert len(Task([f"label {i}" for i in range(500)]).questions[0].labels) == 500


def test_unknown_kind_and_wrong_example_are_named() -> None:
    with pytest.raises(TaskError, match="'tree' is not known"):
        Task(["a", "b"], kind="tree")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="example 1 has the label 'leas'.*did you mean 'lease'"):
        Task(["lease", "loan"], examples=[("text", "leas")])
    with pytest.raises(TaskError, match="example 1 has no text"):
        Task(["lease", "loan"], examples=[("  ", "lease")])


def test_fingerprint_changes_with_all_that_changes_an_answer_and_with_nothing_else() -> None:
    base = Task({"a": "x", "b": "y"}, name="one")
    same = Task({"a": "x", "b": "y"}, name="one")
    assert base.fingerprint == same.fingerprint
    changed = [
        Task({"b": "y", "a": "x"}, name="one"),
        Task({"a": "x", "b": "z"}, name="one"),
        Task({"a": "x", "b": "y"}, name="one", instructions="Other."),
        Task({"a": "x", "b": "y"}, name="one", examples=[("t", "a")]),
    ]
    assert len({task.fingerprint for task in [base, *changed]}) == 5
