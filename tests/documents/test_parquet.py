"""Parquet files as tables of documents."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thresher.documents import Item, discover
from thresher.errors import InputError


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def items(path: Path, **columns: Any) -> list[Item]:
    return list(discover([path], **columns))


def test_a_row_is_a_document(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet", {"id": ["a", "b"], "text": ["one", "two\r\n"], "gold": ["x", None], "n": [1, 2]}
    )
    found = items(path, gold_columns={"q": "gold"})
    assert [(item.document_id, item.text, item.golds.get("q")) for item in found] == [
        ("a", "one", "x"),
        ("b", "two\n", None),
    ]
    assert [item.source for item in found] == [f"{path}#1", f"{path}#2"]
    assert {item.mtime_ns for item in found} == {path.stat().st_mtime_ns}


def test_rows_come_in_batches_over_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"text": [f"row {n}" for n in range(5_000)]}, row_group_size=700)
    found = items(path)
    assert [item.text for item in found] == [f"row {n}" for n in range(5_000)]
    assert found[4_999].document_id == "t.parquet:5000"


def test_a_glob_of_tables_and_a_file_in_a_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.parquet", {"text": [name]})
    assert [item.text for item in discover([tmp_path / "*.parquet"])] == ["a", "b"]
    assert [item.text for item in discover([tmp_path])] == [None, None]  # found in a folder: files like any other


def test_cells_that_are_no_text_are_problems_of_their_row(tmp_path: Path) -> None:
    for kind, (values, problem) in {
        "null": (["a", None], "row 2: 'text' is null, not a text"),
        "blank": (["a", " "], "row 2: no text"),
        "number": ([1.5, 2.5], "row 2: 'text' is a number, not a text"),
        "nested": ([{"a": 1}, {"a": 2}], "row 2: 'text' is an object, not a text"),
        "list": ([["a"], ["b"]], "row 2: 'text' is a list, not a text"),
        "binary": ([b"a", b"b"], "row 2: 'text' is binary data, not a text"),
        "date": ([datetime.date(2026, 1, 1)] * 2, "row 2: 'text' is of type date, not a text"),
        "huge": (["a", "x" * (16 * 1024 * 1024 + 1)], "row 2: 'text' is longer than 16,777,216 characters"),
    }.items():
        found = items(write(tmp_path / f"{kind}.parquet", {"text": values}))
        assert len(found) == 2, kind
        assert found[1].problem == problem, kind
        assert found[1].text is None


def test_ids_and_gold_of_any_kind(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    path = write(tmp_path / "t.parquet", {"id": [7], "text": ["a"], "gold": [{"x": when}]})
    assert items(path, gold_columns={"q": "gold"})[0].document_id == "7"
    assert items(path, gold_columns={"q": "gold"})[0].golds["q"] == '{"x": "2026-01-01 00:00:00+00:00"}'
    words = pa.table({"text": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(words, tmp_path / "d.parquet")
    assert [item.text for item in items(tmp_path / "d.parquet")] == ["a", "b"]


@pytest.mark.parametrize(
    ("columns", "asked", "expected"),
    [
        ({"text": pa.array([], pa.string())}, {}, "no document found in .*the table has no rows"),
        ({"words": ["a"]}, {}, "has no column 'text'; it has 'words'; say which one holds the text"),
        ({"text": ["a"]}, {"id_column": "nr"}, "has no id column 'nr'; it has 'text'"),
    ],
)
def test_wrong_tables_are_usage_errors(
    tmp_path: Path, columns: dict[str, Any], asked: dict[str, str], expected: str
) -> None:
    path = write(tmp_path / "t.parquet", columns)
    with pytest.raises(InputError, match=expected):
        items(path, **asked)


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_broken_files_are_usage_errors(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "t.parquet", {"text": ["a" * 500]})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="table .*t.parquet cannot be read"):
        items(path)


def test_without_pyarrow_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet", {"text": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"t.parquet needs pyarrow; install it: pip install 'thresher\[parquet\]'"):
        items(path)
