"""Every figure equals scikit-learn's on the exported rows, for questions of every kind with failures among them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve
from sklearn.preprocessing import MultiLabelBinarizer

from tests.support.judged_jobs import facts, result, simulated_shares, write_job
from thresher.jobs import JobView, Result, export
from thresher.pipeline.evaluating import evaluate
from thresher.types import Status

LABELS = {
    "topic": ("legal/lease", "legal/nda", "invoice", "cv", "never seen"),
    "urgent": ("yes", "no"),
    "mood": ("1", "2", "3", "4", "5"),
    "tags": ("private", "signed", "draft", "never seen"),
}
KINDS = {"topic": "choice", "urgent": "yes_no", "mood": "score", "tags": "multi"}
STATUSES: list[Status] = ["ok", "ok", "ok", "ok", "truncated", "abstained", "oversize", "engine_error"]
DOCUMENTS, UNREADABLE = 300, 4


def answers(random: np.random.Generator, number: int, question: str) -> tuple[Result, str]:
    """A row and its gold label: right about two times in three, where it has a label at all."""
    shares, said, probability, gold = (_several if question == "tags" else _one)(random, question)
    status, tokens = STATUSES[random.integers(len(STATUSES))], int(random.integers(1, 500))
    if status in ("oversize", "engine_error"):
        return result(number, question, None, {}, status, tokens=tokens, error=f"it is {status}"), gold
    label = None if status == "abstained" else said
    return result(number, question, label, shares, status, probability, tokens), gold


Answer = tuple[Mapping[str, float], str | tuple[str, ...], float, str]  # probabilities, label, its probability, gold


def _one(random: np.random.Generator, question: str) -> Answer:
    labels = [label for label in LABELS[question] if label != "never seen"]
    (shares,) = simulated_shares(random, 1, LABELS[question], 2.0)
    said = max(labels, key=shares.__getitem__)
    others = [*labels, "not of the task"] if question == "topic" else labels
    return shares, said, shares[said], said if random.random() < 0.6 else str(random.choice(others))


def _several(random: np.random.Generator, question: str) -> Answer:
    labels = [label for label in LABELS[question] if label != "never seen"]
    shares = {label: float(random.random()) if label in labels else 0.01 for label in LABELS[question]}
    said = tuple(label for label, p in shares.items() if p >= 0.5)
    probability = math.prod(p if label in said else 1 - p for label, p in shares.items())
    gold = said if random.random() < 0.6 else tuple(label for label in labels if random.random() < 0.5)
    return shares, said, probability, json.dumps(gold)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    rows, golds = [], []
    for number in range(DOCUMENTS):
        group = {question: answers(random, number, question) for question in LABELS}
        rows.append([row for row, _ in group.values()])
        golds.append({question: gold for question, (_, gold) in group.items()})
    golds += [dict(golds[0]) for _ in range(UNREADABLE)]
    return write_job(tmp_path_factory.mktemp("jobs") / "job", facts(LABELS, KINDS), rows, golds, UNREADABLE)


@pytest.fixture(scope="module")
def found(job: Path) -> dict[str, dict[str, Any]]:
    evaluation = json.loads(json.dumps(evaluate(job).to_json(), allow_nan=False))
    return {question["question"]: question["measurement"] for question in evaluation["questions"]}


@pytest.fixture(scope="module")
def exported(job: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    file = tmp_path_factory.mktemp("export") / "rows.jsonl"
    with JobView.open(job) as view:
        export(view, file)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {question: [row for row in rows if row["question"] == question] for question in LABELS}


def same(value: Any, expected: Any) -> None:
    assert value == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("question", ["topic", "urgent", "mood"])
@pytest.mark.parametrize("view", ["answered", "all"])
def test_quality_of_one_label(found: dict[str, Any], exported: dict[str, Any], question: str, view: str) -> None:
    rows = [row for row in exported[question] if view == "all" or row["label"] is not None]
    gold = [row["gold"] for row in rows]
    said = [row["label"] or "\0" for row in rows]  # a failure is wrong, and no class of its own
    classes = sorted({*gold, *said} - {"\0"})
    quality = found[question]["labels"][view]
    assert quality["documents"] == len(rows) == (DOCUMENTS + UNREADABLE if view == "all" else quality["documents"])
    same(quality["accuracy"], metrics.accuracy_score(gold, said))
    assert quality["right"] == metrics.accuracy_score(gold, said, normalize=False)
    for average in ("macro", "weighted", "micro"):
        expected = metrics.f1_score(gold, said, labels=classes, average=average, zero_division=0)
        same(quality[f"{average}_f1"], expected)
    if view == "answered":  # then no label need be named: the classes are scikit-learn's own
        same(quality["macro_f1"], metrics.f1_score(gold, said, average="macro", zero_division=0))
        same(quality["micro_f1"], metrics.accuracy_score(gold, said))


@pytest.mark.parametrize("question", ["topic", "urgent", "mood"])
def test_classes_and_confusions(found: dict[str, Any], exported: dict[str, Any], question: str) -> None:
    rows, measured = exported[question], found[question]
    gold, said = [row["gold"] for row in rows], [row["label"] or "(no label)" for row in rows]
    classes = [entry["label"] for entry in measured["classes"]]
    assert set(classes) == {*gold, *said} - {"(no label)"}
    expected = metrics.precision_recall_fscore_support(gold, said, labels=classes, zero_division=0)
    for name, column in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [entry[name] for entry in measured["classes"]] == pytest.approx(column.tolist(), abs=1e-12)
    assert [entry["predicted"] for entry in measured["classes"]] == [said.count(label) for label in classes]
    matrix = metrics.confusion_matrix(gold, said, labels=[*classes, "(no label)"])[:-1]
    assert measured["confusion"]["counts"] == matrix.tolist()
    assert (measured["confusion"]["gold"], measured["confusion"]["said"]) == (classes, [*classes, "(no label)"])
    first = measured["mistakes"][0]
    off_diagonal = np.where(np.eye(len(matrix), matrix.shape[1], dtype=np.bool_), 0, matrix)
    assert first["documents"] == off_diagonal.max() == sum(
        (g, s) == (first["gold"], first["said"]) for g, s in zip(gold, said, strict=True)
    )  # fmt: skip


@pytest.mark.parametrize("view", ["answered", "all"])
def test_quality_of_many_labels(found: dict[str, Any], exported: dict[str, Any], view: str) -> None:
    rows = [row for row in exported["tags"] if view == "all" or row["label"] is not None]
    classes = [label for label in LABELS["tags"] if label != "never seen"]
    names = MultiLabelBinarizer(classes=[*classes, "\0"])
    gold = names.fit_transform([json.loads(row["gold"]) for row in rows])
    said = names.transform([["\0"] if row["label"] is None else row["label"] for row in rows])
    places = list(range(len(classes)))
    quality = found["tags"]["labels"][view]
    same(quality["accuracy"], metrics.accuracy_score(gold, said))
    for average in ("micro", "macro", "weighted"):
        expected = metrics.f1_score(gold, said, labels=places, average=average, zero_division=0)
        same(quality[f"{average}_f1"], expected)
    if view == "all":
        counts = metrics.multilabel_confusion_matrix(gold, said)[:-1]
        names_of = ("true_negative", "false_positive", "false_negative", "true_positive")
        measured = [[entry[name] for name in names_of] for entry in found["tags"]["label_confusions"]]
        assert measured == counts.reshape(-1, 4).tolist()
        assert [entry["label"] for entry in found["tags"]["label_confusions"]] == classes


def test_parents_of_labels(found: dict[str, Any], exported: dict[str, Any]) -> None:
    rows = exported["topic"]
    gold = [row["gold"].split("/")[0] for row in rows]
    said = [(row["label"] or "\0").split("/")[0] for row in rows]
    quality = found["topic"]["parents"]["all"]
    same(quality["accuracy"], metrics.accuracy_score(gold, said))
    classes = sorted({*gold, *said} - {"\0"})
    same(quality["macro_f1"], metrics.f1_score(gold, said, labels=classes, average="macro", zero_division=0))
    assert quality["accuracy"] > found["topic"]["labels"]["all"]["accuracy"]
    assert found["urgent"]["parents"] is None


def test_scores(found: dict[str, Any], exported: dict[str, Any]) -> None:
    rows = [row for row in exported["mood"] if row["label"] is not None]
    gold = [int(row["gold"]) for row in rows]
    score = found["mood"]["score"]
    assert score["documents"] == len(rows)
    same(score["mean_absolute_error"], metrics.mean_absolute_error(gold, [int(row["label"]) for row in rows]))
    expected = metrics.mean_absolute_error(gold, [row["expected"] for row in rows])
    same(score["expected_mean_absolute_error"], expected)
    assert found["topic"]["score"] is None


@pytest.mark.parametrize("question", list(LABELS))
def test_confidence(found: dict[str, Any], exported: dict[str, Any], question: str) -> None:
    rows = [row for row in exported[question] if row["label"] is not None]
    right = np.array([set(json.loads(r["gold"])) == set(r["label"]) if question == "tags" else r["gold"] == r["label"]
                      for r in rows], dtype=int)  # fmt: skip
    p = np.array([row["probability"] for row in rows])
    check = found[question]["probability"]
    same(check["brier"], metrics.brier_score_loss(right, p))
    same(check["accuracy"], right.mean())
    true, predicted = calibration_curve(right, p, n_bins=10, strategy="uniform")
    assert [b["accuracy"] for b in check["reliability"]] == pytest.approx(true.tolist())
    assert [b["mean_probability"] for b in check["reliability"]] == pytest.approx(predicted.tolist())
    weights = np.array([b["documents"] for b in check["reliability"]])
    same(check["expected_calibration_error"], np.average(np.abs(true - predicted), weights=weights))
    if question == "tags":
        assert check["log_loss"] is None
        return
    known = [row for row in rows if row["gold"] in row["probabilities"]]
    labels = sorted(LABELS[question])
    matrix = [[row["probabilities"][label] for label in labels] for row in known]
    same(check["log_loss"], metrics.log_loss([row["gold"] for row in known], matrix, labels=labels))


@pytest.mark.parametrize("question", list(LABELS))
def test_coverage_and_slices(found: dict[str, Any], exported: dict[str, Any], question: str) -> None:
    def is_right(row: dict[str, Any]) -> bool:
        said = row["label"]
        return said is not None and (
            set(json.loads(row["gold"])) == set(said) if question == "tags" else row["gold"] == said
        )

    rows, measured = exported[question], found[question]
    for point in measured["coverage"]:
        chosen = [row for row in rows if row["label"] is not None and row["probability"] >= point["threshold"]]
        assert (point["documents"], point["coverage"]) == (len(chosen), len(chosen) / len(rows))
        same(point["accuracy"], np.mean([is_right(row) for row in chosen]))
    assert measured["coverage"][-1]["documents"] == measured["answered"]
    by_status = {part["name"]: part for part in measured["by_status"]}
    assert {name: part["documents"] for name, part in by_status.items()} == {
        status: sum(row["status"] == status for row in rows) for status in {row["status"] for row in rows}
    }
    same(by_status["ok"]["accuracy"], np.mean([is_right(row) for row in rows if row["status"] == "ok"]))
    assert by_status["unreadable"]["accuracy"] == by_status["abstained"]["right"] == 0
    assert sum(part["documents"] for part in measured["by_length"]) == len(rows)
    assert measured["by_length"][-1]["name"] == "not tokenized"
    assert measured["by_length"][-1]["documents"] == UNREADABLE
    counts = {part: measured[part] for part in ("answered", "abstained", "failed")}
    assert sum(counts.values()) == measured["documents"] == len(rows)
