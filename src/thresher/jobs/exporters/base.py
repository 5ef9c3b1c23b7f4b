"""The contract of exporters and the columns that they write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from thresher.gold import NONE_APPLIES
from thresher.jobs.records import RunFacts
from thresher.types import Prediction

#: Columns of every export, in order.
COLUMNS: tuple[str, ...] = (
    "document_id", "source", "question", "label", "probability", "probabilities", "label_mass", "expected", "status",
    "document_tokens", "truncated_tokens", "context", "model", "engine", "precision", "content_sha256", "error",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """What is exported: rows, which may be more than memory holds, and what a format may need beside them."""

    rows: Iterable[Prediction]  # the rows of a document follow each other
    columns: tuple[str, ...] = COLUMNS  # attributes of Prediction, in the order to write
    run: RunFacts | None = None
    text_of: Callable[[str], str | None] = lambda _: None  # the stored text of a content (SHA-256 in hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an exporter wrote: how many entries, and files to stand beside its own, by their suffixes."""

    entries: int
    beside: Mapping[str, str] = field(default_factory=dict)


def cell_of(row: Prediction, column: str) -> object:
    """What a table without lists has in a column: that a person found no label fitting is not left empty."""
    value = getattr(row, column)
    return NONE_APPLIES if column == "reviewed_label" and value == () else value


class Exporter(Protocol):
    """Writes rows to a file. ``write`` is given a new empty file's path."""

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write the rows of ``source``."""
