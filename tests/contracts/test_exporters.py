"""One suite over every exporter."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.jobs import check_target
from thresher.jobs.exporters import COLUMNS, EXPORTERS, exporter_for
from thresher.types import Prediction

FORMATS = sorted(EXPORTERS)


def read_back(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return rows


def prediction(**changes: Any) -> Prediction:
    fields: dict[str, Any] = {
        "document_id": "a.txt", "source": "/in/a.txt", "question": "kind", "status": "ok", "label": "lease",
        "probability": 0.123456789012345, "probabilities": {"lease": 0.123456789012345, "ロ": 0.876543210987655},
        "label_mass": 0.5, "document_tokens": 7, "context": 100, "model": "m", "engine": "e", "precision": "p",
        "content_sha256": "00",
    }  # fmt: skip
    return Prediction(**(fields | changes))


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    failure = prediction(
        status="unreadable", label=None, probability=None, probabilities={}, label_mass=None, error='say "no",\nthen'
    )
    file = tmp_path / f"rows{suffix}"
    assert exporter_for(suffix).write([prediction(), failure], COLUMNS, file) == 2
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


@pytest.mark.parametrize("suffix", FORMATS)
def test_several_labels_are_a_list_or_joined(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"
    labels = [("lease", "loan"), ("-1",), ()]
    exporter_for(suffix).write([prediction(label=label) for label in labels], COLUMNS, file)
    found = [row["label"] for row in read_back(file)]
    if suffix == ".jsonl":
        assert found == [["lease", "loan"], ["-1"], []]
    else:
        assert found == ["lease|loan", "'-1" if suffix == ".csv" else "-1", ""]


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_is_written(tmp_path: Path, suffix: str, text: str) -> None:
    file = tmp_path / f"any{suffix}"
    exporter_for(suffix).write([prediction(document_id=text)], COLUMNS, file)
    (row,) = read_back(file)
    expected = text.encode("utf-8", "replace").decode()
    # csv.reader gives back what was quoted, but for the mark in front of what could be a formula
    assert row["document_id"] in (expected, "'" + expected)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_csv_cell_starts_a_formula(tmp_path: Path, start: str) -> None:
    file = tmp_path / "rows.csv"
    exporter_for(".csv").write([prediction(document_id=f"{start}cmd|' /C calc'!A0")], COLUMNS, file)
    assert read_back(file)[0]["document_id"].startswith("'" + start)


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_rows_make_a_file_all_the_same(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"
    assert exporter_for(suffix).write([], COLUMNS, file) == 0
    assert read_back(file) == []


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    existing = tmp_path / "rows.csv"
    existing.write_text("keep me")
    with pytest.raises(UsageError, match="exists already; add --overwrite"):
        check_target(existing, overwrite=False)
    check_target(existing, overwrite=True)
    with pytest.raises(UsageError, match="'.xlsx'; use one of .csv, .jsonl, .parquet"):
        check_target(tmp_path / "rows.xlsx", overwrite=False)
    with pytest.raises(UsageError, match="does not exist; make it first"):
        check_target(tmp_path / "none" / "rows.csv", overwrite=False)
