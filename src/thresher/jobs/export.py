"""The rows of a job's latest run, written to a file in one step or not at all."""

from __future__ import annotations

from pathlib import Path

from thresher.jobs.exporters import COLUMNS, ExportSource, exporter_for, format_of
from thresher.jobs.new_file import check_new_file, new_file
from thresher.jobs.reviewed import ReviewedLabels
from thresher.jobs.view import JobView


def check_target(file: Path, *, overwrite: bool, format_name: str | None = None) -> None:
    """Find out before the work whether ``file``, and what its format writes beside it, can be written.

    Raises:
        UsageError: it exists and may not be replaced, its folder is missing, or its format is unknown.
    """
    beside = format_of(file.suffix, format_name).beside
    for target in (file, *(file.with_suffix(suffix) for suffix in beside)):
        check_new_file(target, overwrite=overwrite)


def export(view: JobView, file: Path, *, overwrite: bool = False, format_name: str | None = None) -> int:
    """Write every finished row of ``view`` to ``file``; returns the number of entries: rows, or documents.

    The file appears complete or not at all. The format is ``format_name``, else that of the file's suffix.

    Raises:
        UsageError: see :func:`check_target`; or the rows cannot be given in this format.
        DiskFullError: the disk is full; ``file`` is as it was.
    """
    check_target(file, overwrite=overwrite, format_name=format_name)
    has_gold = any(row.gold is not None for row in view.rows())
    reviewed = ReviewedLabels.of_job(view.folder)
    there = {
        "gold": has_gold,
        "calibrated_probability": bool(view.calibrations),
        "reviewed_label": bool(reviewed.decisions),
    }
    columns = (*COLUMNS, *(column for column, is_there in there.items() if is_there))
    source = ExportSource(rows=reviewed.beside(view.rows()), columns=columns, run=view.run, text_of=view.text)
    with new_file(file, overwrite=overwrite) as temporary:
        written = exporter_for(file.suffix, format_name).write(source, temporary)
        for suffix, text in written.beside.items():
            with new_file(file.with_suffix(suffix), overwrite=overwrite) as companion:
                companion.write_text(text, encoding="utf-8", errors="replace")
    return written.entries
