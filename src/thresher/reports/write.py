"""The report of a job, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thresher.errors import UsageError
from thresher.jobs import JobView, ReviewedLabels, check_new_file, new_file
from thresher.reports.gather import gather
from thresher.reports.page import page

if TYPE_CHECKING:
    from thresher.pipeline.evaluating import Evaluation

_SUFFIXES = (".html", ".htm")


def write_report(
    view: JobView, file: Path, *, gold: Path | None = None, samples: int = 3, overwrite: bool = False
) -> None:
    """Write the report of the latest run of ``view`` to ``file``, which appears complete or not at all.

    How often labels are right stands in it where right labels are known: of the file ``gold``, kept by ``classify``, or
    of reviews.

    Raises:
        UsageError: the file exists and may not be replaced, its folder is missing, it is not named .html, or the gold
            labels do not fit the job.
        JobError: nothing was begun in the job.
        ExtraMissingError: a library that draws charts or evaluates is not installed.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{file} is not named as a page; give a name that ends in .html")
    check_new_file(file, overwrite=overwrite)
    facts = gather(view, samples=samples)
    text = page(facts, _evaluation(view, gold))
    with new_file(file, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _evaluation(view: JobView, gold: Path | None) -> Evaluation | None:
    """None without right labels; then scikit-learn, which is slow to load and an extra, is not asked for."""
    if gold is None and not view.has_gold() and not ReviewedLabels.of_job(view.folder).decisions:
        return None
    from thresher.pipeline.evaluating import evaluate_if_gold

    return evaluate_if_gold(view.folder, gold)
