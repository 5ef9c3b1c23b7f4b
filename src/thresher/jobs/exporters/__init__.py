"""Which exporter writes which file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from thresher.errors import UsageError
from thresher.jobs.exporters.base import COLUMNS, Exporter, ExportSource, Written

__all__ = ["COLUMNS", "FORMATS", "ExportSource", "Exporter", "Format", "Written", "exporter_for", "format_of"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files, and where its exporter is; imported when asked for."""

    suffix: str
    place: str
    by_suffix: bool = True  # whether the suffix alone asks for it
    beside: tuple[str, ...] = ()  # suffixes of the files that it writes beside


FORMATS: dict[str, Format] = {
    "csv": Format(".csv", "csv:CsvExporter"),
    "jsonl": Format(".jsonl", "jsonl:JsonlExporter"),
    "parquet": Format(".parquet", "parquet:ParquetExporter"),
    "label-studio": Format(".json", "label_studio:LabelStudioExporter", by_suffix=False, beside=(".config.xml",)),
    "openai-batch": Format(".jsonl", "openai_batch:OpenAiBatchExporter", by_suffix=False),
}


def format_of(suffix: str, name: str | None = None) -> Format:
    """The format named ``name``, else the one of files that end in ``suffix``.

    Raises:
        UsageError: there is none, or the two do not go together.
    """
    if name is None:
        found = next((f for f in FORMATS.values() if f.by_suffix and f.suffix == suffix.lower()), None)
        if found is None:
            known = ", ".join(f.suffix for f in FORMATS.values() if f.by_suffix)
            named = ", ".join(f"--format {name} for {f.suffix}" for name, f in FORMATS.items() if not f.by_suffix)
            raise UsageError(f"rows cannot be exported to a file ending in {suffix!r}; use one of {known} ({named})")
        return found
    if name not in FORMATS:
        raise UsageError(f"--format is {name!r}; use one of {', '.join(FORMATS)}")
    if FORMATS[name].suffix != suffix.lower():
        raise UsageError(
            f"--format {name} writes {FORMATS[name].suffix} files, not {suffix!r}; change the name of FILE"
        )
    return FORMATS[name]


def exporter_for(suffix: str, name: str | None = None) -> Exporter:
    """The exporter for files that end in ``suffix``, in the format ``name``. Raises ``UsageError``."""
    module, cls = format_of(suffix, name).place.split(":")
    exporter: Exporter = getattr(import_module(f"{__name__}.{module}"), cls)()
    return exporter
