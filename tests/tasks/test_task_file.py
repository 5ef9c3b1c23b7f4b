from __future__ import annotations

from pathlib import Path

import pytest

from thresher.errors import TaskError
from thresher.tasks import load_task


def write(folder: Path, text: str) -> Path:
    file = folder / "task.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_whole_task_file(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "name: contract-type\ninstructions: Decide what kind of contract this is.\nlabels:\n"
        "  lease: rental of a property\n  no: a label that YAML would read as false\n  2024:\n"
        "examples:\n  - {text: You may rent it., label: lease}\n",
    )
    task = load_task(file)
    question = task.questions[0]
    assert task.name == question.name == "contract-type"
    assert question.label_names == ("lease", "no", "2024")
    assert question.labels[2].description == ""
    assert question.examples[0].label == "lease"


def test_labels_as_a_list_with_and_without_descriptions(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, "labels:\n  - lease: rental\n  - loan\n"))
    assert [(label.name, label.description) for label in task.questions[0].labels] == [
        ("lease", "rental"),
        ("loan", ""),
    ]


def test_several_questions_of_all_kinds(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "name: inbox\ninstructions: You sort the post.\nexamples_tokens: 500\nquestions:\n"
        "  - name: topic\n    labels: {legal/lease: rental, legal/nda: , bill: }\n    other: anything else\n"
        "    abstain_below: 0.6\n    examples: [{text: rent it, label: legal/lease}]\n"
        "  - {name: urgent, kind: yes_no, instructions: is it urgent}\n"
        "  - {name: mood, kind: score, instructions: how friendly, range: 1-5, labels: {1: rude}}\n"
        "  - name: tags\n    kind: multi\n    labels: [a, b]\n    threshold: 0.3\n"
        "    examples: [{text: t, label: [a, b]}, {text: u, label: []}]\n",
    )
    task = load_task(file)
    topic, urgent, mood, tags = task.questions
    assert (task.name, task.instructions, task.examples_tokens) == ("inbox", "You sort the post.", 500)
    assert topic.label_names == ("legal/lease", "legal/nda", "bill", "other")
    assert (topic.abstain_below, topic.examples[0].label) == (0.6, "legal/lease")
    assert (urgent.kind, urgent.label_names) == ("yes_no", ("yes", "no"))
    assert (mood.label_names, mood.labels[0].description) == (("1", "2", "3", "4", "5"), "rude")
    assert (tags.threshold, [example.label for example in tags.examples]) == (0.3, [("a", "b"), ()])


@pytest.mark.parametrize("written", ["[-2, 2]", "-2 to 2", "-2..2", "-2 - +2"])
def test_a_range_may_be_written_as_people_do(tmp_path: Path, written: str) -> None:
    task = load_task(write(tmp_path, f"kind: score\ninstructions: x\nrange: {written}\n"))
    assert task.questions[0].score_range == (-2, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "line 1: a task file must be a mapping"),
        ("name: x\n", "there is no 'labels'"),
        ("labels:\n  a: x\n  b: y\n  a: z\n", r"line 4: label 'a' is given twice \(first on line 2\)"),
        ("name: t\nlabels: [a]\n", "line 2: there is only one label"),
        ("labels: []\n", "line 1: there are no labels"),
        ("labels: 7\n", "line 1: 'labels' must be a list"),
        ("labels: [a, b]\ninstruction: x\n", "line 2: unknown key 'instruction'.*did you mean 'instructions'"),
        ("labels: [a, b]\nlabels: [c, d]\n", "line 2: 'labels' is given twice"),
        ("labels: [a, b]\nkind: tree\n", "line 2: kind 'tree'"),
        ("labels: [a, b]\nname: [x]\n", "line 2: name must be text"),
        ("labels: [a, b]\nexamples:\n  - {text: t, label: c}\n", "line 3: 'c' is not a label"),
        ("labels: [a, b]\nexamples:\n  - {text: t}\n", "line 3: this example has no 'label'"),
        ("labels: [a, b]\nexamples: t\n", "line 2: 'examples' must be a list"),
        ("labels: [a, b\n", "line 2: not valid YAML"),
        ("labels: [a, b]\nname: !!python/object/apply:os.system [id]\n", "line 2: name must be text"),
        ("labels: [a, '']\n", "line 1: a label has no name"),
        ("labels:\n  a: &x deep\n  b: *y\n", "not valid YAML"),
        ("kind: yes_no\n", "line 1: .*needs 'instructions'"),
        ("kind: score\ninstructions: x\nrange: high\n", r"line 3: 'range' must be .* \[1, 5\]"),
        ("kind: score\ninstructions: x\nrange: [1, b]\n", "line 3: an end of the range is 'b'; it must be a whole"),
        ("labels: [a, b]\nabstain_below: much\n", "line 2: abstain_below is 'much'; it must be a number"),
        ("labels: [a, b]\nabstain_below: 7\n", "line 1: abstain_below is 7"),
        ("labels: [a, b]\nexamples_tokens: few\n", "line 2: examples_tokens is 'few'; it must be a whole number"),
        ("kind: multi\nlabels: [a, b]\nexamples:\n  - {text: t, label: [a, c]}\n", "line 4: 'c' is not a label"),
        ("questions: []\n", "line 1: 'questions' is empty"),
        ("questions: x\n", "line 1: 'questions' must be a list"),
        ("questions:\n  - labels: [a, b]\n", "line 2: this question has no 'name'"),
        ("labels: [a, b]\nquestions: []\n", "line 1: 'labels' belongs to each of the questions"),
        ("questions:\n  - name: x\n    labels: [a]\n", "line 3: there is only one label"),
        ("questions:\n  - {name: x, labels: [a, b]}\n  - {name: x, labels: [a, b]}\n", "two questions are named 'x'"),
        ("questions:\n  - name: x\n    lables: [a]\n", "line 3: unknown key 'lables'.*did you mean 'labels'"),
    ],
)
def test_mistakes_name_the_line_and_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(TaskError, match=message) as raised:
        load_task(file)
    assert str(file) in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read"):
        load_task(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("labels: [Käse, Brot]".encode("latin-1"))
    with pytest.raises(TaskError, match="not UTF-8"):
        load_task(latin)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (10 * 1024 * 1024 + 1))
    with pytest.raises(TaskError, match="larger than"):
        load_task(large)
