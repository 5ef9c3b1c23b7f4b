"""Rows as Parquet, through pyarrow (an extra)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from thresher.errors import UsageError
from thresher.gold import LABEL_JOINER
from thresher.jobs.exporters.base import ExportSource, Written, cell_of

_ROWS_PER_GROUP = 10_000
_FLOATS = ("probability", "label_mass", "expected", "calibrated_probability")
_INTEGERS = ("document_tokens", "truncated_tokens", "context")


class ParquetExporter:
    """Writes Parquet with typed columns: ``probabilities`` is a map, several labels of a row are joined by ``|``."""

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write one row for each of the source's.

        Raises:
            UsageError: pyarrow is not installed.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise UsageError(
                "Parquet needs pyarrow: pip install 'thresher[parquet]', or export to .csv or .jsonl"
            ) from error
        schema = pyarrow.schema([(column, _arrow_type(pyarrow, column)) for column in source.columns])
        count = 0
        iterator = iter(source.rows)
        with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while batch := list(itertools.islice(iterator, _ROWS_PER_GROUP)):
                cells = {column: [_cell(cell_of(row, column)) for row in batch] for column in source.columns}
                writer.write_table(pyarrow.table(cells, schema=schema))
                count += len(batch)
        return Written(entries=count)


def _arrow_type(pyarrow: Any, column: str) -> Any:
    if column == "probabilities":
        return pyarrow.map_(pyarrow.string(), pyarrow.float64())
    if column in _FLOATS:
        return pyarrow.float64()
    return pyarrow.int64() if column in _INTEGERS else pyarrow.string()


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return [(_storable(name), share) for name, share in value.items()] or None
    if isinstance(value, tuple):
        value = LABEL_JOINER.join(value)
    return _storable(value) if isinstance(value, str) else value


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
