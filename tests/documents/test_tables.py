from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from thresher.documents import Item, discover
from thresher.documents.parsers.normalise import normalise
from thresher.documents.sources import rows
from thresher.errors import InputError


def table(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(path: Path) -> list[str | None]:
    return [item.text for item in discover([path])]


def jsonl(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_rows_of_a_csv(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", 'text,kind\n"a, b",x\n\n"two\nlines",y\n')
    items = list(discover([path], gold_columns={"q": "kind"}))
    assert [(i.document_id, i.source, i.text, i.golds.get("q")) for i in items] == [
        ("t.csv:1", f"{path}#1", "a, b", "x"),
        ("t.csv:2", f"{path}#2", "two\nlines", "y"),
    ]
    assert all(item.path is None and item.problem is None for item in items)
    assert (items[0].size_bytes, items[0].mtime_ns) == (4, path.stat().st_mtime_ns)


def test_rows_of_a_jsonl(tmp_path: Path) -> None:
    path = table(tmp_path, "t.jsonl", jsonl({"text": "a", "id": 7}, {"text": "b", "id": "x"}, {"text": "c"}))
    assert [(i.document_id, i.text) for i in discover([path])] == [("7", "a"), ("x", "b"), ("t.jsonl:3", "c")]


@pytest.mark.parametrize(
    ("fields", "column"),
    [({"content": "x", "n": 1}, "content"), ({"body": "x"}, "body"), ({"text": "x", "body": "y"}, "text")],
)
def test_the_usual_text_columns(tmp_path: Path, fields: Mapping[str, Any], column: str) -> None:
    assert texts(table(tmp_path, "t.jsonl", jsonl(fields))) == [fields[column]]


def test_document_id_goes_before_id(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", "id,document_id,text\n1,doc,x\n2,,y\n")
    assert [item.document_id for item in discover([path])] == ["doc", "t.csv:2"]
    assert next(discover([path], id_column="id")).document_id == "1"


def test_a_missing_text_column_names_those_there_are(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", "txt,kind\na,b\n")
    with pytest.raises(InputError, match=r"has no column 'text'; it has 'txt', 'kind'"):
        discover([path])
    with pytest.raises(InputError, match=r"no text column 'text'; it has 'txt', 'kind'; did you mean 'txt'\?"):
        discover([path], text_column="text")
    both = table(tmp_path, "b.jsonl", jsonl({"body": "x", "content": "y"}))
    with pytest.raises(InputError, match="say which one holds the text"):
        discover([both])


@pytest.mark.parametrize("role", ["id", "gold"])
def test_other_missing_columns(tmp_path: Path, role: str) -> None:
    lines = table(tmp_path, "t.jsonl", jsonl({"text": "", "kind": ""}))
    asked = {"id": "knid"} if role == "id" else {"gold": "knid"}
    for path in (table(tmp_path, "t.csv", "text,kind\na,b\n"), lines):
        with pytest.raises(InputError, match=f"no {role} column 'knid'.*did you mean 'kind'"):
            discover([path], id_column=asked.get("id"), gold_columns={"q": "knid"} if "gold" in asked else None)


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 columns named 'text'"):
        discover([table(tmp_path, "t.csv", "text,text\na,b\n")])


@pytest.mark.parametrize("content", ["", "\n\n", "text\n"])
def test_tables_without_rows(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="no document found"):
        discover([table(tmp_path, "t.csv", content)])
    with pytest.raises(InputError, match="no document found|has no column"):
        discover([table(tmp_path, "t.jsonl", content)])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "row 2 is not JSON"),
        ("[1, 2]", "row 2 is JSON but not an object"),
        ("[" * 100_000, "row 2 is not JSON"),
        ('{"other": 1}', "row 2 has no 'text'"),
        ('{"text": null}', "row 2: 'text' is null, not a text"),
        ('{"text": 5}', "row 2: 'text' is a number, not a text"),
        ('{"text": true}', "row 2: 'text' is true or false, not a text"),
        ('{"text": ["a"]}', "row 2: 'text' is a list, not a text"),
        ('{"text": {}}', "row 2: 'text' is an object, not a text"),
        ('{"text": " \\n"}', "row 2: no text"),
        ('{"text": "\\u0000"}', "row 2: no text"),
    ],
)
def test_a_bad_row_costs_that_row(tmp_path: Path, line: str, reason: str) -> None:
    path = table(tmp_path, "t.jsonl", f'{{"text": "one"}}\n{line}\n{{"text": "three"}}\n')
    one, two, three = discover([path])
    assert (one.text, two.text, three.text) == ("one", None, "three")
    assert two.problem is not None
    assert reason in two.problem
    assert two.document_id == "t.jsonl:2"


def test_a_row_with_a_problem_keeps_its_id(tmp_path: Path) -> None:
    path = table(tmp_path, "t.jsonl", jsonl({"text": "x", "id": "a"}, {"text": 1, "id": "b"}))
    assert [item.document_id for item in discover([path])] == ["a", "b"]


def test_rows_of_a_csv_that_do_not_fit_the_header(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", "kind,text\nx,fine\nx,y,too much\nx\nx,trailing,,\n")
    items = list(discover([path]))
    assert [item.text for item in items] == ["fine", None, None, "trailing"]
    assert "3 fields, the header 2" in (items[1].problem or "")
    assert "1 fields and ends before 'text'" in (items[2].problem or "")


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", 'text\nfine\n"open\nand\nso on\n')
    fine, rest = discover([path])
    assert fine.text == "fine"
    assert rest.problem == "row 2: the file ends within it; is a quote not closed?"


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_rows_that_are_too_long(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_ROW_CHARACTERS", 200_000)
    long = "a" * 450_000
    content = f"text\nx\n{long}\nfine\n" if name == "t.csv" else jsonl(*({"text": t} for t in ("x", long, "fine")))
    first, second, third = discover([table(tmp_path, name, content)])
    assert (first.text, second.text, third.text) == ("x", None, "fine")
    assert "row 2: a line is longer than" in (second.problem or "")


def test_a_quoted_field_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_ROW_CHARACTERS", 200_000)
    path = table(tmp_path, "t.csv", 'text\n"' + "many lines\n" * 50_000 + '"\n')
    before = csv.field_size_limit(200_000)
    try:
        problem = next(discover([path])).problem
    finally:
        csv.field_size_limit(before)
    assert "field larger than field limit (200000)" in (problem or "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    content = delimiter.join(["id", "text"]) + "\n" + delimiter.join(["1", '"a,b;c\td"']) + "\n"
    assert texts(table(tmp_path, "t.csv", content)) == ["a,b;c\td"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp932"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    word = "これは日本語の文章です。請求書を添付いたしますのでご確認ください。" if encoding == "cp932" else "größe “x”"
    assert texts(table(tmp_path, "t.csv", f"text\n{word}\n".encode(encoding))) == [word]
    line = f'{{"text": {json.dumps(word, ensure_ascii=False)}}}\n'
    assert texts(table(tmp_path, "t.jsonl", line.encode(encoding))) == [word]


def test_one_bad_byte_far_into_the_file(tmp_path: Path) -> None:
    content = b"text\n" + b"plain\n" * 50_000 + b"caf\xe9\n" + "größe\n".encode()
    assert texts(table(tmp_path, "t.csv", content))[-2:] == ["café", "größe"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_csv(tmp_path: Path, end: str) -> None:
    assert texts(table(tmp_path, "t.csv", end.join(["text", "a", "b", ""]))) == ["a", "b"]


def test_nuls_and_lone_surrogates(tmp_path: Path) -> None:
    assert texts(table(tmp_path, "t.csv", b"text\na\0b words and more words\n")) == ["ab words and more words"]
    path = table(tmp_path, "t.jsonl", '{"text": "a\\ud800b", "id": "\\udfff", "g": "\\ud800"}\n')
    (item,) = discover([path], gold_columns={"q": "g"})
    assert (item.text, item.document_id, item.golds.get("q")) == ("a\ufffdb", "\ufffd", "\ufffd")


def test_binary_named_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv cannot be read: binary data"):
        discover([table(tmp_path, "t.csv", bytes(range(256)) * 10)])


@pytest.mark.parametrize(
    ("value", "gold"), [("x", "x"), (3, "3"), (True, "true"), (None, None), ("", None), (["a"], '["a"]')]
)
def test_gold_values(tmp_path: Path, value: object, gold: str | None) -> None:
    (item,) = discover([table(tmp_path, "t.jsonl", jsonl({"text": "t", "g": value}))], gold_columns={"q": "g"})
    assert item.golds.get("q") == gold


def test_globs_of_tables(tmp_path: Path) -> None:
    table(tmp_path, "a.csv", "text\none\n")
    table(tmp_path, "b.csv", "text\ntwo\nthree\n")
    assert [(i.document_id, i.text) for i in discover([f"{tmp_path}/*.csv"])] == [
        ("a.csv:1", "one"),
        ("b.csv:1", "two"),
        ("b.csv:2", "three"),
    ]
    table(tmp_path, "c.csv", "other\nx\n")
    with pytest.raises(InputError, match=r"c\.csv has no column 'text'"):
        discover([f"{tmp_path}/*.csv"])


def test_a_table_beside_other_inputs(tmp_path: Path) -> None:
    path = table(tmp_path, "t.csv", "text\nrow\n")
    (tmp_path / "more").mkdir()
    table(tmp_path / "more", "a.txt", "file")
    assert [item.document_id for item in discover([path, tmp_path / "more"])] == ["t.csv:1", "more/a.txt"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), name=st.sampled_from(["t.csv", "t.jsonl"]))
def test_any_bytes_are_rows_or_an_input_error(tmp_path: Path, content: bytes, name: str) -> None:
    path = table(tmp_path, name, content)
    with contextlib.suppress(InputError):
        for item in discover([path], text_column="text"):
            assert (item.text is None) == (item.problem is not None)
    head = b"text\n" if name == "t.csv" else b'{"text": "first"}\n'
    with contextlib.suppress(InputError):  # binary data
        for item in discover([table(tmp_path, name, head + content)]):
            assert (item.text is None) == (item.problem is not None)
            (item.text or "").encode()


row_values = st.dictionaries(
    st.sampled_from(["text", "id", "x"]), st.one_of(st.none(), st.integers(), st.text(st.characters(), max_size=30))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(row_values, min_size=1, max_size=8), escaped=st.booleans())
@example(values=[{"text": "\x7f", "id": "\x7f"}], escaped=False)
def test_any_jsonl_row_is_a_text_or_a_problem(tmp_path: Path, values: list[dict[str, Any]], escaped: bool) -> None:
    values = [{"text": "first"}, *values]
    lines = [json.dumps(value, ensure_ascii=escaped) for value in values]
    path = table(tmp_path, "t.jsonl", "\n".join(lines).encode("utf-8", "replace"))
    items: list[Item] = list(discover([path]))
    assert len(items) == len(values)
    for item, value in zip(items, values, strict=True):
        assert (item.text is None) == (item.problem is not None)
        if item.text is not None and escaped:
            assert item.text == normalise(value["text"])
