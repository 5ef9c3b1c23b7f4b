"""The contract of exporters and the columns that they write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from thresher.types import Prediction

#: Columns of every export, in order.
COLUMNS: tuple[str, ...] = (
    "document_id", "source", "question", "label", "probability", "probabilities", "label_mass", "expected", "status",
    "document_tokens", "truncated_tokens", "context", "model", "engine", "precision", "content_sha256", "error",
)  # fmt: skip


#: Between the labels of one row, where a format has no lists; no such label has it in its name.
LABEL_JOINER = "|"


class Exporter(Protocol):
    """Writes rows to a file.

    ``write`` is given a new empty file's path and an iterable that may be longer than memory; ``columns`` are
    attributes of :class:`~thresher.types.Prediction` in the order to write. It returns the number of rows written.
    """

    def write(self, rows: Iterable[Prediction], columns: tuple[str, ...], file: Path) -> int:
        """Write ``rows`` and return how many there were."""
