"""One suite over every exporter."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.jobs import check_target
from thresher.jobs.exporters import COLUMNS, FORMATS, ExportSource, exporter_for
from thresher.types import Prediction

EVERY_FORMAT = sorted(FORMATS)
#: Formats with a row for each of the job's and a column for each attribute.
TABLES = ("csv", "jsonl", "parquet")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
CELLS = st.one_of(
    ANY_TEXT, st.sampled_from(["=1+1", "@x", "-", "'", '"', 'a,b\n\r\n"c"', "\U00100000", "ロ", "\ud800"])
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write(name: str, rows: Iterable[Prediction], folder: Path) -> tuple[int, Path]:
    file = folder / f"rows{FORMATS[name].suffix}"
    source = ExportSource(rows=rows, text_of=lambda content: f"text of {content}")
    return exporter_for(file.suffix, name).write(source, file).entries, file


def read_back(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    if file.suffix == ".json":
        tasks: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return tasks
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return rows


def document_id(row: dict[str, Any]) -> object:
    return row["data"]["document_id"] if "data" in row else row.get("custom_id", row.get("document_id"))


def prediction(**changes: Any) -> Prediction:
    fields: dict[str, Any] = {
        "document_id": "a.txt", "source": "/in/a.txt", "question": "kind", "status": "ok", "label": "lease",
        "probability": 0.123456789012345, "probabilities": {"lease": 0.123456789012345, "ロ": 0.876543210987655},
        "label_mass": 0.5, "document_tokens": 7, "context": 100, "model": "m", "engine": "e", "precision": "p",
        "content_sha256": "00",
    }  # fmt: skip
    return Prediction(**(fields | changes))


def as_written(text: str, name: str) -> str:
    """A text as it comes back: lone surrogates cannot be written, and a formula's start gets a mark in CSV."""
    text = text.encode("utf-8", "replace").decode()
    return "'" + text if name == "csv" and text.startswith(FORMULA_STARTS) else text


@pytest.mark.parametrize("name", TABLES)
def test_rows_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    failure = prediction(
        document_id="b.txt", status="unreadable", label=None, probability=None, probabilities={}, label_mass=None,
        error='say "no",\nthen',
    )  # fmt: skip
    count, file = write(name, [prediction(), failure], tmp_path)
    assert count == 2
    first, second = read_back(file)
    assert tuple(first) == COLUMNS
    assert float(first["probability"]) == 0.123456789012345
    assert first["label"] == "lease"
    probabilities = first["probabilities"]
    pairs = dict(json.loads(probabilities) if isinstance(probabilities, str) else probabilities)
    assert pairs == {"lease": 0.123456789012345, "ロ": 0.876543210987655}
    assert second["error"] == 'say "no",\nthen'
    assert not second["label"]
    assert not second["probability"]
    assert not second["probabilities"]


@pytest.mark.parametrize("name", TABLES)
def test_several_labels_are_a_list_or_joined(tmp_path: Path, name: str) -> None:
    labels = [("lease", "loan"), ("-1",), ()]
    _, file = write(name, [prediction(label=label) for label in labels], tmp_path)
    found = [row["label"] for row in read_back(file)]
    if name == "jsonl":
        assert found == [["lease", "loan"], ["-1"], []]
    else:
        assert found == ["lease|loan", "'-1" if name == "csv" else "-1", ""]


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=4))
def test_any_texts_come_back(tmp_path: Path, name: str, rows: list[tuple[str, str, str]]) -> None:
    predictions = [prediction(document_id=a, label=b, error=c, probabilities={c: 1.0}) for a, b, c in rows]
    count, file = write(name, predictions, tmp_path)
    found = read_back(file)
    assert count == len(found) == len(rows)
    for row, texts in zip(found, rows, strict=True):
        assert [row["document_id"], row["label"], row["error"]] == [as_written(text, name) for text in texts]
        pairs = dict(json.loads(row["probabilities"]) if name == "csv" else row["probabilities"])
        assert pairs == {texts[2].encode("utf-8", "replace").decode(): 1.0}


@pytest.mark.parametrize("name", ["label-studio", "openai-batch"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(CELLS, max_size=4, unique=True), label=st.sampled_from(["lease", "ロ", 'say "no"\n,']))
def test_documents_come_back_once_each(tmp_path: Path, name: str, ids: list[str], label: str) -> None:
    count, file = write(name, [prediction(document_id=text, label=label) for text in ids], tmp_path)
    found = read_back(file)
    assert count == len(ids)
    assert [document_id(row) for row in found] == [as_written(text, name) for text in ids]
    for row in found:
        if name == "openai-batch":
            assert row["response"]["body"]["choices"][0]["message"]["content"] == label
        else:
            assert row["predictions"][0]["result"][0]["value"] == {"choices": [label]}


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_no_csv_cell_starts_a_formula(tmp_path: Path, start: str) -> None:
    _, file = write("csv", [prediction(document_id=f"{start}cmd|' /C calc'!A0")], tmp_path)
    assert read_back(file)[0]["document_id"].startswith("'" + start)


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_rows_make_a_file_all_the_same(tmp_path: Path, name: str) -> None:
    count, file = write(name, [], tmp_path)
    assert count == 0
    assert read_back(file) == []


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_rows_are_taken_one_by_one(tmp_path: Path, name: str) -> None:
    """A job may be larger than memory: no more than a group of rows is held."""
    total, alive, most = 25_000, 0, 0

    class Watched(Prediction):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Iterable[Prediction]:
        nonlocal alive, most
        for number in range(total):
            alive += 1
            most = max(most, alive)
            yield Watched(**{f: getattr(template, f) for f in Prediction.__slots__} | {"document_id": f"d{number}"})

    template = prediction()
    count, _ = write(name, rows(), tmp_path)
    assert count == total
    assert most <= 20_000  # two groups of Parquet's rows


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    existing = tmp_path / "rows.csv"
    existing.write_text("keep me")
    with pytest.raises(UsageError, match="exists already; add --overwrite"):
        check_target(existing, overwrite=False)
    check_target(existing, overwrite=True)
    with pytest.raises(UsageError, match=r"'.xlsx'; use one of .csv, .jsonl, .parquet \(--format label-studio for"):
        check_target(tmp_path / "rows.xlsx", overwrite=False)
    with pytest.raises(UsageError, match="does not exist; make it first"):
        check_target(tmp_path / "none" / "rows.csv", overwrite=False)
    with pytest.raises(UsageError, match="--format is 'excel'; use one of csv, jsonl"):
        check_target(tmp_path / "rows.json", overwrite=False, format_name="excel")
    with pytest.raises(UsageError, match=r"--format label-studio writes .json files, not '.csv'"):
        check_target(tmp_path / "new.csv", overwrite=False, format_name="label-studio")
    (tmp_path / "tasks.config.xml").write_text("keep me")
    with pytest.raises(UsageError, match=r"tasks.config.xml exists already"):
        check_target(tmp_path / "tasks.json", overwrite=False, format_name="label-studio")
