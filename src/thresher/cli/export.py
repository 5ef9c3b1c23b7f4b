"""``thresher export``: a job's rows as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import print_note
from thresher.jobs import JobView, export
from thresher.jobs.exporters import format_of


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write: .csv, .jsonl or .parquet.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Another format: label-studio (.json, with FILE.config.xml beside it) or openai-batch (.jsonl).",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a job's rows to a file.

    Every finished row of the latest run: predictions, and failures with their reasons. The file appears complete or not
    at all.
    """
    with JobView.open(job) as view:
        entries = export(view, to, overwrite=overwrite, format_name=format_name)
        left = view.counts().left
    print_note(f"{entries:,} rows written to {to}")
    for suffix in format_of(to.suffix, format_name).beside:
        print_note(f"labelling configuration written to {to.with_suffix(suffix)}")
    if left:
        print_note(f"{left:,} documents are not done yet and are not in the file; run classify again to go on")
