"""Tables of Apache Arrow: ``.parquet`` files, and what Python programs hand over, batch by batch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from thresher.documents.sources.rows import Row, TableFile
from thresher.errors import InputError

#: Rows that are Python objects at a time.
ROWS_AT_A_TIME = 1024


def pyarrow(what: str, module: str = "pyarrow") -> Any:
    """The library, or a module of it.

    Raises:
        InputError: it is not installed; names the remedy.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{what} needs pyarrow; install it: pip install 'thresher[parquet]'") from error


class ParquetRows(TableFile):
    """The rows of a Parquet file, read in batches.

    Raises:
        InputError: pyarrow is not installed, or the file is no Parquet.
    """

    def __init__(self, path: Path, source: str | None = None) -> None:
        super().__init__(path, source)
        self._parquet = pyarrow(f"the table {path}", "pyarrow.parquet")

    def columns(self) -> Sequence[str]:
        """The names of the columns; none where there is no row."""
        with self._open() as file:
            return list(file.schema_arrow.names) if file.metadata.num_rows else []

    def rows(self, text_column: str, wanted: Sequence[str]) -> Iterator[Row]:  # noqa: ARG002 - as all row sources
        """All rows with the wanted columns."""
        try:
            with self._open() as file:
                yield from batch_rows(file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=list(wanted)))
        except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's errors are kinds of these
            raise InputError(f"table {self.path} cannot be read: {error}") from error

    def _open(self) -> Any:
        try:
            return self._parquet.ParquetFile(self.path, memory_map=False)
        except (OSError, ValueError) as error:
            raise InputError(f"table {self.path} cannot be read: {error}") from error


def batch_rows(batches: Iterable[Any]) -> Iterator[Row]:
    """The rows of record batches, numbered from 1."""
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS_AT_A_TIME):
            for fields in batch.slice(start, ROWS_AT_A_TIME).to_pylist():
                number += 1
                yield Row(number=number, fields=fields)
