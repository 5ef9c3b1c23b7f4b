"""Tables that a Python program hands over, through the public function."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import thresher
from thresher.documents import Item, discover, is_frame, open_frame
from thresher.errors import InputError, UsageError

ROWS = {"id": ["a", "b", "c"], "text": ["the rent is due", "an invoice", "a letter"], "gold": ["x", None, "z"]}


class Stream:
    """What polars, DuckDB and others offer."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def dataset(rows: dict[str, Any]) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset.from_dict(rows)


KINDS = {
    "DataFrame": pd.DataFrame,
    "Table": pa.table,
    "RecordBatch": pa.RecordBatch.from_pydict,
    "RecordBatchReader": lambda rows: pa.table(rows).to_reader(max_chunksize=2),
    "Stream": lambda rows: Stream(pa.table(rows)),
    "Dataset": dataset,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def items(data: object, **columns: Any) -> list[Item]:
    with open_frame(data) as frame:
        return list(discover(frame, **columns))


@every_kind
def test_a_row_is_a_document(kind: str) -> None:
    data = KINDS[kind](ROWS)
    assert is_frame(data)
    found = items(data, gold_columns={"q": "gold"})
    assert [item.document_id for item in found] == ROWS["id"]
    assert [item.text for item in found] == ROWS["text"]
    assert [item.golds.get("q") for item in found] == ROWS["gold"]
    assert [item.problem for item in found] == [None] * 3


@every_kind
def test_it_can_be_gone_through_again_and_in_between(kind: str) -> None:
    with open_frame(KINDS[kind]({"text": [f"row {n}" for n in range(3_000)]})) as frame:
        half: Iterator[Item] = discover(frame)
        next(half)
        assert [item.text for item in discover(frame)] == [f"row {n}" for n in range(3_000)]
        assert next(half).text == "row 1"
        half.close()  # type: ignore[attr-defined]


@every_kind
def test_no_rows(kind: str) -> None:
    empty = {"text": pa.array([], pa.string())} if kind != "Dataset" else {"text": []}
    with pytest.raises(InputError, match="no document found in the"):
        items(KINDS[kind](empty))


@every_kind
def test_a_missing_column_is_named(kind: str) -> None:
    with pytest.raises(InputError, match="has no id column 'nr'; it has 'id', 'text', 'gold'"):
        items(KINDS[kind](ROWS), id_column="nr")


def test_what_pandas_has_for_missing_values() -> None:
    data = pd.DataFrame({"text": ["a", None, float("nan"), pd.NA, pd.NaT, 7]})
    missing = [f"row {row}: 'text' is null, not a text" for row in range(2, 6)]
    problems = [item.problem for item in items(data)]
    assert problems == [None, *missing, "row 6: 'text' is a number, not a text"]
    strings = pd.DataFrame({"text": pd.array(["a", None], dtype="string"), "gold": pd.Categorical(["x", None])})
    found = items(strings, gold_columns={"q": "gold"})
    assert [(item.text, item.golds.get("q")) for item in found] == [("a", "x"), (None, None)]


def test_columns_of_the_same_name_are_refused() -> None:
    with pytest.raises(InputError, match="has 2 columns named 'text'"):
        items(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


@pytest.mark.parametrize("data", [pd.Series(["a"]), pa.chunked_array([["a"]])])
def test_a_column_alone_is_no_table(data: object) -> None:
    assert is_frame(data)
    with pytest.raises(InputError, match="is no table .*; give one with named columns"):
        items(data)


def test_several_tables_are_not_one() -> None:
    splits = {"train": dataset(ROWS)}
    assert is_frame(splits)
    with pytest.raises(InputError, match=r"has several tables \('train'\); give one of them"):
        items(splits)


def test_paths_are_no_tables() -> None:
    assert not any(map(is_frame, ["a.csv", Path("a.csv"), ["a", "b"], {"a": 1}, 5, None]))


@every_kind
def test_classify_takes_it(kind: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = thresher.Task(["invoice", "letter"])
    run = thresher.classify(KINDS[kind](ROWS), task, model=model, engine="fake", gold_column="gold")
    assert [(row.document_id, row.status, row.gold) for row in run] == [
        ("a", "ok", "x"),
        ("b", "ok", None),
        ("c", "ok", "z"),
    ]
    again = thresher.classify(KINDS[kind](ROWS), task, model=model, engine="fake", gold_column="gold")
    assert (again.job, again.summary.resumed) == (run.job, 3)


@pytest.mark.parametrize("wrong", [5, None, {"a": 1}, [5], [pd.DataFrame(ROWS)]])
def test_anything_else_is_a_usage_error(
    wrong: object, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="give paths"):
        thresher.classify(wrong, thresher.Task(["a", "b"]), model=model, engine="fake")


def test_no_table_library_is_imported_for_paths(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    code = (
        "import sys, thresher\n"
        f"thresher.classify({str(tmp_path / 'a.txt')!r}, thresher.Task(['a', 'b']), model='demo', engine='fake')\n"
        "print(sorted({'pandas', 'pyarrow', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"
