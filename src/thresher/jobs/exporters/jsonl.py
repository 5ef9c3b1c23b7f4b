"""Rows as JSON lines (UTF-8, one object a row)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from thresher.types import Prediction


class JsonlExporter:
    """Writes one JSON object a row; null stays null."""

    def write(self, rows: Iterable[Prediction], columns: tuple[str, ...], file: Path) -> int:
        """Write ``rows`` and return how many there were."""
        count = 0
        with file.open("w", encoding="utf-8", newline="\n", errors="replace") as stream:
            for row in rows:
                cells = {column: getattr(row, column) for column in columns}
                cells["probabilities"] = cells["probabilities"] or None
                stream.write(json.dumps(cells, ensure_ascii=False) + "\n")
                count += 1
        return count
