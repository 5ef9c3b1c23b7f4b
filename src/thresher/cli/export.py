"""``thresher export``: a job's rows as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import print_note
from thresher.jobs import JobView, export


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write: .csv, .jsonl or .parquet.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a job's rows to a file.

    Every finished row of the latest run: predictions, and failures with their reasons. The file appears complete or not
    at all.
    """
    with JobView.open(job) as view:
        rows = export(view, to, overwrite=overwrite)
        left = view.counts().left
    print_note(f"{rows:,} rows written to {to}")
    if left:
        print_note(f"{left:,} documents are not done yet and are not in the file; run classify again to go on")
