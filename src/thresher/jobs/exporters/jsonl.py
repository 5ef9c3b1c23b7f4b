"""Rows as JSON lines (UTF-8, one object a row)."""

from __future__ import annotations

import json
from pathlib import Path

from thresher.jobs.exporters.base import ExportSource, Written


class JsonlExporter:
    """Writes one JSON object a row; null stays null."""

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write one row for each of the source's."""
        count = 0
        with file.open("w", encoding="utf-8", newline="\n", errors="replace") as stream:
            for row in source.rows:
                cells = {column: getattr(row, column) for column in source.columns}
                cells["probabilities"] = cells["probabilities"] or None
                stream.write(json.dumps(cells, ensure_ascii=False) + "\n")
                count += 1
        return Written(entries=count)
