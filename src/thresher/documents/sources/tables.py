"""Tables named as INPUT: each row of a ``.csv`` or ``.jsonl`` file is a document."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.documents.files import absolute
from thresher.documents.items import Item
from thresher.documents.parsers.normalise import normalise
from thresher.documents.sources.rows import Row, csv_header, csv_rows, jsonl_rows
from thresher.errors import InputError

_TEXT_COLUMN = "text"
_OTHER_TEXT_COLUMNS = ("content", "body", "document")
_ID_COLUMNS = ("document_id", "id")
#: Rows of a JSONL file that are looked at to learn its columns.
_SAMPLE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns the user asked for; None: look for the usual ones."""

    text: str | None = None
    id: str | None = None
    gold: str | None = None

    def given(self) -> str:
        """The columns asked for, in words; empty if there are none."""
        asked = {"text column": self.text, "id column": self.id, "gold column": self.gold}
        return ", ".join(f"{what} {name!r}" for what, name in asked.items() if name is not None)


class Table:
    """One table, its columns settled.

    Raises:
        InputError: the table cannot be opened, is empty, or lacks a column; names the columns there are.
    """

    def __init__(self, path: Path, *, name: str, columns: Columns, source: str | None = None) -> None:
        self._path = path
        self._name = name
        self._source = source or absolute(path)
        try:
            self._mtime_ns = path.stat().st_mtime_ns
            there = self._columns_there()
        except OSError as error:
            raise InputError(f"table {path} cannot be read: {error.strerror}") from error
        if not there:
            raise InputError(f"no document found in {path}; the table has no rows")
        self._text_column = _choose_text(path, columns.text, there)
        self._id_column = _require(path, "id", columns.id, there) or next((c for c in _ID_COLUMNS if c in there), None)
        self._gold_column = _require(path, "gold", columns.gold, there)

    def rows(self) -> Iterator[Item]:
        """One item per row, lazily; a row without usable text is an item with a problem."""
        rows = self._read()
        return (self._item(row) for row in rows)

    def _read(self) -> Iterator[Row]:
        return csv_rows(self._path, self._text_column) if self._is_csv() else jsonl_rows(self._path)

    def _is_csv(self) -> bool:
        return self._path.suffix.lower() == ".csv"

    def _columns_there(self) -> Sequence[str]:
        if self._is_csv():
            return csv_header(self._path)
        sample = itertools.islice(jsonl_rows(self._path), _SAMPLE_ROWS)
        return list(dict.fromkeys(key for row in sample for key in row.fields))

    def _item(self, row: Row) -> Item:
        raw = row.fields.get(self._text_column)
        problem = row.problem or _text_problem(row, raw, self._text_column)
        text = normalise(raw) if isinstance(raw, str) and problem is None else None
        row_id = _word(row.fields.get(self._id_column)) if self._id_column else None
        return Item(
            document_id=row_id or f"{self._name}:{row.number}",
            source=f"{self._source}#{row.number}",
            path=None,
            text=text,
            gold=_word(row.fields.get(self._gold_column)) if self._gold_column else None,
            size_bytes=len(text.encode()) if text is not None else row.size_bytes,
            mtime_ns=self._mtime_ns,
            problem=problem,
        )


def _text_problem(row: Row, raw: object, column: str) -> str | None:
    if column not in row.fields:
        return f"row {row.number} has no {column!r}"
    if not isinstance(raw, str):
        return f"row {row.number}: {column!r} is {_json_kind(raw)}, not a text"
    text = normalise(raw)
    return f"row {row.number}: no text" if not text or text.isspace() else None


def _choose_text(path: Path, asked: str | None, there: Sequence[str]) -> str:
    if asked is not None:
        return _require(path, "text", asked, there) or asked
    if _TEXT_COLUMN in there:
        return _once(path, _TEXT_COLUMN, there)
    others = [column for column in _OTHER_TEXT_COLUMNS if column in there]
    if len(others) == 1:
        return _once(path, others[0], there)
    raise InputError(f"{path} has no column 'text'{_listed(there)}; say which one holds the text (--text-column)")


def _require(path: Path, role: str, asked: str | None, there: Sequence[str]) -> str | None:
    if asked is None:
        return None
    if asked in there:
        return _once(path, asked, there)
    near = difflib.get_close_matches(asked, there, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{path} has no {role} column {asked!r}{_listed(there)}{hint}")


def _once(path: Path, column: str, there: Sequence[str]) -> str:
    if there.count(column) > 1:
        raise InputError(f"{path} has {there.count(column)} columns named {column!r}; rename all but one")
    return column


def _listed(there: Sequence[str]) -> str:
    return f"; it has {', '.join(repr(column) for column in there[:30])}{', ...' if len(there) > 30 else ''}"


def _word(value: object) -> str | None:
    """A cell as an id or a gold label: strings and numbers as they are written, anything else as JSON."""
    if value is None or value == "":
        return None
    return normalise(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).strip() or None


def _json_kind(value: object) -> str:
    kinds: Mapping[type[Any], str] = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "an object")
