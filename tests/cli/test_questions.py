"""Questions of every kind through the whole way, with made-up answers and with a model's."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Thresher

TASK = """\
name: inbox
questions:
  - {name: topic, labels: {legal/lease: rental, legal/nda: secrets, bill: asks for money}, other: anything else}
  - {name: urgent, kind: yes_no, instructions: is it urgent}
  - {name: mood, kind: score, instructions: how friendly is it, range: 1-5}
  - {name: tags, kind: multi, labels: [private, signed, foreign], threshold: 0.4}
"""
TOPICS = {"legal/lease", "legal/nda", "bill", "other"}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    file = tmp_path / "task.yaml"
    file.write_text(TASK)
    return file


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"Letter {number}: please pay the rent of {number * 100} EUR.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return folder


@pytest.mark.parametrize("engine", ["fake", "llamacpp"])
def test_every_document_gets_a_row_for_every_question(
    thresher: Thresher, inputs: Path, task: Path, model: str, engine: str
) -> None:
    outcome = thresher(
        "classify", inputs, "--task", task, "--model", model, "--engine", engine, "--job", "job", "--out", "rows.jsonl",
        "--json",
    )  # fmt: skip
    assert outcome.code == 3
    assert outcome.json["statuses"] == {"ok": 24, "unreadable": 4}
    assert list(outcome.json["label_counts"]) == ["topic", "urgent", "mood", "tags"]
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    assert [row["question"] for row in rows] == ["topic", "urgent", "mood", "tags"] * 7
    read = [row for row in rows if row["status"] == "ok"]
    for row in read:
        probabilities = row["probabilities"]
        if row["question"] == "tags":
            assert row["label"] == [label for label, p in probabilities.items() if p >= 0.4]
            assert set(probabilities) == {"private", "signed", "foreign"}
            continue
        assert sum(probabilities.values()) == pytest.approx(1.0)
        assert row["probability"] == max(probabilities.values()) == probabilities[row["label"]]
    assert {row["label"] for row in read if row["question"] == "topic"} <= TOPICS
    for row in read:
        mean = sum(int(score) * p for score, p in row["probabilities"].items()) if row["question"] == "mood" else None
        assert row["expected"] == (None if mean is None else pytest.approx(mean))


def test_the_table_names_the_questions(thresher: Thresher, inputs: Path, task: Path, model: str) -> None:
    shown = thresher("classify", inputs, "--task", task, "--model", model, "--engine", "fake").out
    assert "document" in shown
    assert "question" in shown
    assert "urgent: yes" in shown
    assert "tags: private" in shown


def test_doubtful_answers_abstain_and_the_run_is_complete(classify: Thresher, thresher: Thresher, inputs: Path) -> None:
    task = inputs.parent / "doubt.yaml"
    task.write_text("labels: [a, b, c]\nabstain_below: 1.0\n")
    (inputs / "broken.pdf").unlink()
    outcome = classify(inputs, "--task", task)
    assert outcome.code == 0
    assert outcome.json["statuses"] == {"abstained": 6}
    assert outcome.json["labelled"] == 6
    assert outcome.json["label_counts"] == {"labels": {"a": 0, "b": 0, "c": 0}}
    thresher("export", "job", "--to", "rows.csv")
    with Path("rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(row["label"] == "" and row["status"] == "abstained" and row["error"] == "" for row in rows)
    assert all(float(row["probability"]) == max(json.loads(row["probabilities"]).values()) for row in rows)


def test_windows_are_joined_for_each_question(classify: Thresher, inputs: Path, task: Path) -> None:
    (inputs / "long.txt").write_text("The rent is due. " * 400)
    found = classify(inputs, "--task", task, "--context", "512", "--long", "windows").json
    assert found["statuses"] == {"ok": 28, "unreadable": 4}
