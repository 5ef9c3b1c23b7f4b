"""The report of a job, as a file."""

from __future__ import annotations

from pathlib import Path

from thresher.errors import UsageError
from thresher.jobs import JobView, check_new_file, new_file
from thresher.reports.gather import gather
from thresher.reports.page import page

_SUFFIXES = (".html", ".htm")


def write_report(view: JobView, file: Path, *, samples: int = 3, overwrite: bool = False) -> None:
    """Write the report of the latest run of ``view`` to ``file``, which appears complete or not at all.

    Raises:
        UsageError: the file exists and may not be replaced, its folder is missing, or it is not named .html.
        JobError: nothing was begun in the job.
        ExtraMissingError: the library that draws charts is not installed.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{file} is not named as a page; give a name that ends in .html")
    check_new_file(file, overwrite=overwrite)
    text = page(gather(view, samples=samples))
    with new_file(file, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
