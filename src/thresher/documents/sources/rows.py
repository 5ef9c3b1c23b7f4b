"""Rows of CSV and JSONL files, streamed, whatever is in them."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thresher.documents.files import absolute
from thresher.documents.parsers.charset import CP1252_FALLBACK, SAMPLE_BYTES, detect
from thresher.errors import InputError, UnreadableError

#: A longer row (or line of one) is a problem of that row.
MAX_ROW_CHARACTERS = 16 * 1024 * 1024
_TOO_LONG = f"a line is longer than {MAX_ROW_CHARACTERS:,} characters"
#: Rows of a JSONL file that are looked at to learn its columns.
_SAMPLE_ROWS = 100
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One data row: its fields, or what is wrong with it."""

    number: int  # from 1, blank lines not counted
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    size_bytes: int = 0  # about, of a row with a problem


class TableFile:
    """What all tables in files have."""

    def __init__(self, path: Path, source: str | None = None) -> None:
        self.path = path
        self.name = str(path)
        self.source = source or absolute(path)
        try:
            self.mtime_ns = path.stat().st_mtime_ns
        except OSError as error:
            raise InputError(f"table {path} cannot be read: {error.strerror}") from error

    def columns(self) -> Sequence[str]:
        """The names of the columns; none where there is no row."""
        raise NotImplementedError

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:
        """The rows, with at least the wanted columns."""
        raise NotImplementedError


class JsonlRows(TableFile):
    """The rows of a JSONL file; a line that is no JSON object is a row with a problem."""

    def columns(self) -> Sequence[str]:
        """The keys in the first rows."""
        sample = itertools.islice(jsonl_rows(self.path), _SAMPLE_ROWS)
        return list(dict.fromkeys(key for row in sample for key in row.fields))

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        """All rows, with all their columns."""
        return jsonl_rows(self.path)


class CsvRows(TableFile):
    """The rows of a CSV file below its header."""

    def columns(self) -> Sequence[str]:
        """The names in the header."""
        return csv_header(self.path)

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        """All rows, with all their columns."""
        return csv_rows(self.path, text_column)


def jsonl_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file; a line that is no JSON object is a row with a problem."""
    with _open_text(path, newline="\n") as file:
        lines = (line for line in _lines(file) if line is None or not line.isspace())
        for number, line in enumerate(lines, 1):
            yield _json_row(number, line)


def _lines(file: io.TextIOWrapper) -> Iterator[str | None]:
    """Lines; None for one that is too long, which is passed over."""
    while line := file.readline(MAX_ROW_CHARACTERS):
        if len(line) < MAX_ROW_CHARACTERS or line.endswith("\n"):
            yield line
            continue
        _pass_over_line(file)
        yield None


def _pass_over_line(file: io.TextIOWrapper) -> None:
    """Read up to the end of a line without keeping it."""
    while (rest := file.readline(MAX_ROW_CHARACTERS)) and not rest.endswith(("\n", "\r")):
        pass


def _json_row(number: int, line: str | None) -> Row:
    if line is None:
        return Row(number=number, problem=f"row {number}: {_TOO_LONG}")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Row(number=number, problem=f"row {number} is not JSON: {error}", size_bytes=len(line))
    if not isinstance(value, dict):
        return Row(number=number, problem=f"row {number} is JSON but not an object", size_bytes=len(line))
    return Row(number=number, fields=value)


def csv_header(path: Path) -> Sequence[str]:
    """The column names in the first row that is not blank; empty where there is none."""
    with _open_text(path, newline="") as file:
        records = _records(file)
        return next((_names(record) for record in records if isinstance(record, list)), [])


def csv_rows(path: Path, text_column: str) -> Iterator[Row]:
    """The rows of a CSV file below its header; the delimiter is the one of ``, ; tab`` that splits the header most."""
    with _open_text(path, newline="") as file:
        records = _records(file)
        header = _names(next((record for record in records if isinstance(record, list)), []))
        wanted = header.index(text_column) if text_column in header else 0
        for number, record in enumerate(records, 1):
            yield _csv_row(number, record, header, wanted)


def _names(record: Sequence[str]) -> list[str]:
    return [name.strip() for name in record]


def _csv_row(number: int, record: list[str] | csv.Error, header: Sequence[str], wanted: int) -> Row:
    if isinstance(record, csv.Error):
        return Row(number=number, problem=f"row {number}: {record}")
    fields = dict(zip(header, record, strict=False))
    size = sum(map(len, record))
    if any(record[len(header) :]):
        problem = f"row {number} has {len(record)} fields, the header {len(header)}; quote fields that hold delimiters"
        return Row(number=number, fields=fields, problem=problem, size_bytes=size)
    if len(record) <= wanted:
        problem = f"row {number} has {len(record)} fields and ends before {header[wanted]!r}"
        return Row(number=number, fields=fields, problem=problem, size_bytes=size)
    return Row(number=number, fields=fields)


def _records(file: io.TextIOWrapper) -> Iterator[list[str] | csv.Error]:
    """Records that are not blank; an error stands for a record that could not be taken apart."""
    lines = _Lines(file)
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_CHARACTERS))
    reader = csv.reader(lines, delimiter=_delimiter(lines.peek()))
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error
            continue
        if lines.ended:  # the reader went on looking for the end of this record
            yield csv.Error("the file ends within it; is a quote not closed?")
        elif record:
            yield record


class _Lines:
    """Lines of bounded length, for the CSV reader; knows whether it was asked for more than there are."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self._head: str | None = None
        self.ended = False

    def peek(self) -> str:
        """The first line, which stays to be read."""
        self._head = self._file.readline(MAX_ROW_CHARACTERS)
        return self._head

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._head = self._head or self._file.readline(MAX_ROW_CHARACTERS), None
        if not line:
            self.ended = True
            raise StopIteration
        if len(line) >= MAX_ROW_CHARACTERS and not line.endswith(("\n", "\r")):
            _pass_over_line(self._file)
            raise csv.Error(_TOO_LONG)
        return line


def _delimiter(header: str) -> str:
    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter), []))
        except csv.Error:
            return 0

    return max(_DELIMITERS, key=columns)


def _open_text(path: Path, newline: str) -> io.TextIOWrapper:
    """The file as text: marks, UTF-8 with stray bytes read as cp1252, or the legacy code page of its first part."""
    try:
        with path.open("rb") as file:
            sample = file.read(SAMPLE_BYTES)
        encoding = detect(sample)
        errors = CP1252_FALLBACK if encoding in ("utf-8", "utf-8-sig") else "replace"
        return path.open(encoding=encoding, errors=errors, newline=newline)
    except OSError as error:
        raise InputError(f"table {path} cannot be read: {error.strerror}") from error
    except UnreadableError as error:
        raise InputError(f"table {path} cannot be read: {error}") from error
