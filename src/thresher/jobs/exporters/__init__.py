"""Which exporter writes which file."""

from __future__ import annotations

from importlib import import_module

from thresher.errors import UsageError
from thresher.jobs.exporters.base import COLUMNS, Exporter

#: File suffix -> where its exporter is; imported when asked for.
EXPORTERS: dict[str, str] = {
    ".csv": "thresher.jobs.exporters.csv:CsvExporter",
    ".jsonl": "thresher.jobs.exporters.jsonl:JsonlExporter",
    ".parquet": "thresher.jobs.exporters.parquet:ParquetExporter",
}

__all__ = ["COLUMNS", "EXPORTERS", "Exporter", "exporter_for"]


def exporter_for(suffix: str) -> Exporter:
    """The exporter for files that end in ``suffix``.

    Raises:
        UsageError: there is none.
    """
    place = EXPORTERS.get(suffix.lower())
    if place is None:
        known = ", ".join(EXPORTERS)
        raise UsageError(f"rows cannot be exported to a file ending in {suffix!r}; use one of {known}")
    module, name = place.split(":")
    exporter: Exporter = getattr(import_module(module), name)()
    return exporter
