"""Tables that a Python program hands over: data frames, Arrow tables and streams, Hugging Face datasets.

Each is known by what it can do: none of the libraries is imported unless an object of it was given.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from thresher.documents.sources.arrow import ROWS_AT_A_TIME, batch_rows, pyarrow
from thresher.documents.sources.rows import Row
from thresher.errors import InputError


class Frame:
    """A table in memory: a :class:`~thresher.documents.sources.tables.RowSource`."""

    def __init__(self, data: Any, columns: Sequence[object], count: int | None) -> None:
        self.name = f"the {type(data).__name__}"
        self.source = type(data).__name__
        self.mtime_ns = 0
        self._columns = [str(column) for column in columns]
        self._count = count

    def columns(self) -> Sequence[str]:
        """The names of the columns; none where there is no row."""
        return self._columns if self._count != 0 else []

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:
        """The rows, with the wanted columns."""
        raise NotImplementedError


@contextlib.contextmanager
def open_frame(data: object) -> Iterator[Frame]:
    """A table that a program handed over, as long as the block lasts.

    Args:
        data: a pandas ``DataFrame``, a pyarrow ``Table``, ``RecordBatch`` or ``RecordBatchReader``, a Hugging Face
            ``Dataset``, or anything with ``__arrow_c_stream__`` (polars, DuckDB). What can be read only once is kept
            on disk meanwhile.

    Raises:
        InputError: no such thing; or pyarrow is needed and not installed.
    """
    with contextlib.ExitStack() as stack:
        yield _frame(data, stack)


def is_frame(data: object) -> bool:
    """Whether this is a table rather than the name of an input, or a list of them."""
    return any(hasattr(data, method) for method in ("__arrow_c_stream__", "iloc", "to_batches", "read_next_batch")) or (
        hasattr(data, "column_names") or _is_splits(data)
    )


def _frame(data: Any, stack: contextlib.ExitStack) -> Frame:
    if _is_splits(data):
        names = ", ".join(map(repr, data))
        raise InputError(f"a {type(data).__name__} has several tables ({names}); give one of them, as data['train']")
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _PandasRows(data)
    if hasattr(data, "column_names") and hasattr(data, "iter"):
        return _DatasetRows(data)
    if hasattr(data, "to_batches") and hasattr(data, "schema"):
        return _ArrowRows(data)
    if hasattr(data, "to_pylist") and hasattr(data, "schema"):
        return _ArrowRows(pyarrow("a RecordBatch").Table.from_batches([data]))
    return _SpooledRows(data, stack)


def _is_splits(data: object) -> bool:
    """A ``DatasetDict``: a dictionary of datasets."""
    return isinstance(data, dict) and bool(data) and all(hasattr(value, "column_names") for value in data.values())


class _PandasRows(Frame):
    def __init__(self, data: Any) -> None:
        super().__init__(data, list(data.columns), len(data))
        self._data = data

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        places = [self._columns.index(column) for column in wanted]
        for start in range(0, len(self._data), ROWS_AT_A_TIME):
            part = self._data.iloc[start : start + ROWS_AT_A_TIME, places]
            values = [[_plain(value) for value in part.iloc[:, place].tolist()] for place in range(len(places))]
            for number, cells in enumerate(zip(*values, strict=True), start + 1):
                yield Row(number=number, fields=dict(zip(wanted, cells, strict=True)))


def _plain(value: Any) -> Any:
    """What pandas has for a missing value is no value: it alone is not equal to itself, or cannot say whether."""
    try:
        return value if bool(value == value) else None
    except (TypeError, ValueError):  # pandas.NA says neither; an array says both
        return value if hasattr(value, "__len__") else None


class _ArrowRows(Frame):
    def __init__(self, data: Any) -> None:
        super().__init__(data, data.schema.names, data.num_rows)
        self._data = data

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        return batch_rows(self._data.select(list(wanted)).to_batches(max_chunksize=ROWS_AT_A_TIME))


class _DatasetRows(Frame):
    """Only the wanted columns are read, so that pictures and sounds beside them are not decoded."""

    def __init__(self, data: Any) -> None:
        if not data.column_names:
            raise InputError(f"the {type(data).__name__} does not say its columns; give a Dataset that is loaded")
        super().__init__(data, data.column_names, len(data) if hasattr(data, "__len__") else None)
        self._data = data.with_format(None) if hasattr(data, "with_format") else data

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        numbers = itertools.count(1)
        for batch in self._data.select_columns(list(wanted)).iter(batch_size=ROWS_AT_A_TIME):
            for cells in zip(*(batch[column] for column in wanted), strict=True):
                yield Row(number=next(numbers), fields=dict(zip(wanted, cells, strict=True)))


class _SpooledRows(Frame):
    """A stream of record batches, which can be read once: it is written to a temporary file, and read from there."""

    def __init__(self, data: Any, stack: contextlib.ExitStack) -> None:
        arrow = pyarrow(f"a {type(data).__name__}")
        self._ipc = pyarrow(f"a {type(data).__name__}", "pyarrow.ipc")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="thresher-"))
        self._path = Path(folder) / "rows.arrow"
        try:
            reader = data if hasattr(data, "read_next_batch") else arrow.RecordBatchReader.from_stream(data)
        except (TypeError, ValueError) as error:  # pyarrow's errors are kinds of these
            raise InputError(f"a {type(data).__name__} is no table ({error}); give one with named columns") from error
        count = 0
        with self._path.open("wb") as file, self._ipc.new_stream(file, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
                count += batch.num_rows
        super().__init__(data, reader.schema.names, count)

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        with self._path.open("rb") as file, self._ipc.open_stream(file) as reader:
            yield from batch_rows(batch.select(list(wanted)) for batch in reader)
