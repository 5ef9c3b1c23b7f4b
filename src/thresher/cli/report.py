"""``thresher report``: a job as a page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import print_note
from thresher.jobs import JobView
from thresher.reports import write_report


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The page to write, named .html.")],
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=100,
            help="Documents shown for each label, with how their texts begin; 0: none.",
        ),
    ] = 3,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a page that tells what a job did.

    What was asked, what came out, how sure the model was, what failed and why, how fast it went and how to do it
    again; with right labels also how often it is right. One file that stands alone: it can be sent, printed and kept.

    Example: thresher report thresher-jobs/labels-1a2b3c4d --to report.html
    """
    with JobView.open(job) as view:
        write_report(view, to, samples=samples, overwrite=overwrite)
    print_note(f"report written to {to}")
