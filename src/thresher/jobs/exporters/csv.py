"""Rows as CSV (RFC 4180, UTF-8). No cell can start a formula in a spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from thresher.gold import LABEL_JOINER
from thresher.jobs.exporters.base import ExportSource, Written, cell_of

# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class CsvExporter:
    """Writes CSV: null is an empty cell, several labels are joined by ``|``, probabilities are JSON.

    Text that could start a formula gets a quote.
    """

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write one row for each of the source's."""
        count = 0
        with file.open("w", encoding="utf-8", newline="", errors="replace") as stream:
            writer = csv.writer(stream)
            writer.writerow(source.columns)
            for row in source.rows:
                writer.writerow([csv_cell(cell_of(row, column)) for column in source.columns])
                count += 1
        return Written(entries=count)


def csv_cell(value: object) -> str | int | float:
    """A value as CSV has it."""
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, tuple):
        value = LABEL_JOINER.join(value)
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return "'" + value if value.startswith(_FORMULA_STARTS) else value
