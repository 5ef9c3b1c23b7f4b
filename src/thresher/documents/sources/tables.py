"""Tables: each row is a document. What the columns are called, and what a row becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from thresher.documents.items import Item
from thresher.documents.parsers.normalise import normalise
from thresher.documents.sources.rows import MAX_ROW_CHARACTERS, Row
from thresher.errors import InputError
from thresher.suggestions import did_you_mean

_TEXT_COLUMN = "text"
_OTHER_TEXT_COLUMNS = ("content", "body", "document")
_ID_COLUMNS = ("document_id", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns the user asked for; None: look for the usual ones."""

    text: str | None = None
    id: str | None = None
    golds: Mapping[str, str] = field(default_factory=dict)  # question -> the column of its gold labels

    def given(self) -> str:
        """The columns asked for, in words; empty if there are none."""
        asked = [("text column", self.text), ("id column", self.id)]
        asked += [("gold column", name) for name in self.golds.values()]
        return ", ".join(f"{what} {name!r}" for what, name in asked if name is not None)


class RowSource(Protocol):
    """Where the rows of a table are; they can be gone through more than once."""

    name: str  # in messages
    source: str  # what the documents' ``source`` begins with
    mtime_ns: int

    def columns(self) -> Sequence[str]:
        """The names of the columns; raises ``InputError``."""

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:
        """The rows, with at least the wanted columns; raises ``InputError``."""


class Table:
    """One table, its columns settled.

    Args:
        rows: where the rows are.
        name: the documents without an id of their own are ``name:row``.
        columns: as the user asked for them.

    Raises:
        InputError: the table cannot be opened, is empty, or lacks a column; names the columns there are.
    """

    def __init__(self, rows: RowSource, *, name: str, columns: Columns) -> None:
        self._rows = rows
        self._name = name
        there = rows.columns()
        if not there:
            raise InputError(f"no document found in {rows.name}; the table has no rows")
        self._text_column = _choose_text(rows.name, columns.text, there)
        self._id_column = _require(rows.name, "id", columns.id, there) or next(
            (column for column in _ID_COLUMNS if column in there), None
        )
        self._gold_columns = {
            question: _require(rows.name, "gold", column, there) or column for question, column in columns.golds.items()
        }

    def items(self) -> Iterator[Item]:
        """One item per row, lazily; a row without usable text is an item with a problem."""
        wanted = (self._text_column, self._id_column, *self._gold_columns.values())
        rows = self._rows.rows(self._text_column, list(dict.fromkeys(name for name in wanted if name is not None)))
        return (self._item(row) for row in rows)

    def _item(self, row: Row) -> Item:
        raw = row.fields.get(self._text_column)
        text = normalise(raw) if isinstance(raw, str) and len(raw) <= MAX_ROW_CHARACTERS else None
        problem = row.problem or _text_problem(row, raw, text, self._text_column)
        text = text if problem is None else None
        row_id = cell_text(row.fields.get(self._id_column)) if self._id_column else None
        return Item(
            document_id=row_id or f"{self._name}:{row.number}",
            source=f"{self._rows.source}#{row.number}",
            path=None,
            text=text,
            golds={name: word for name, c in self._gold_columns.items() if (word := cell_text(row.fields.get(c)))},
            size_bytes=len(text.encode()) if text is not None else row.size_bytes,
            mtime_ns=self._rows.mtime_ns,
            problem=problem,
        )


def _text_problem(row: Row, raw: object, text: str | None, column: str) -> str | None:
    """Why a row cannot be labelled; ``text`` is ``raw`` normalised, where it is a text of a bearable length."""
    if column not in row.fields:
        return f"row {row.number} has no {column!r}"
    if not isinstance(raw, str):
        return f"row {row.number}: {column!r} is {_json_kind(raw)}, not a text"
    if text is None:
        return f"row {row.number}: {column!r} is longer than {MAX_ROW_CHARACTERS:,} characters"
    return f"row {row.number}: no text" if not text or text.isspace() else None


def _choose_text(path: str, asked: str | None, there: Sequence[str]) -> str:
    if asked is not None:
        return _require(path, "text", asked, there) or asked
    if _TEXT_COLUMN in there:
        return _once(path, _TEXT_COLUMN, there)
    others = [column for column in _OTHER_TEXT_COLUMNS if column in there]
    if len(others) == 1:
        return _once(path, others[0], there)
    raise InputError(f"{path} has no column 'text'{_listed(there)}; say which one holds the text (--text-column)")


def _require(path: str, role: str, asked: str | None, there: Sequence[str]) -> str | None:
    if asked is None:
        return None
    if asked in there:
        return _once(path, asked, there)
    raise InputError(f"{path} has no {role} column {asked!r}{_listed(there)}{did_you_mean(asked, there)}")


def _once(path: str, column: str, there: Sequence[str]) -> str:
    if there.count(column) > 1:
        raise InputError(f"{path} has {there.count(column)} columns named {column!r}; rename all but one")
    return column


def _listed(there: Sequence[str]) -> str:
    return f"; it has {', '.join(repr(column) for column in there[:30])}{', ...' if len(there) > 30 else ''}"


def cell_text(value: object) -> str | None:
    """A cell as an id or a gold label: strings and numbers as they are written, anything else as JSON."""
    if value is None or value == "":
        return None
    return (
        normalise(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)).strip()
        or None
    )


def _json_kind(value: object) -> str:
    kinds: Mapping[type[Any], str] = {bool: "true or false", int: "a number", float: "a number", list: "a list"}
    kinds = {**kinds, bytes: "binary data", dict: "an object"}
    return "null" if value is None else kinds.get(type(value), f"of type {type(value).__name__}")
