"""``thresher review``: the page where a person checks and corrects labels."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import print_note
from thresher.errors import ExtraMissingError, UsageError


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port of the page; 0 takes any that is free.")
    ] = 0,
    reviewer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who decides, kept with every decision (default: the login name)."),
    ] = None,
    to_examples: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Do not serve: write the task with corrected documents as examples (.yaml)."),
    ] = None,
    examples: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="With --to-examples: at most so many are added.")
    ] = 12,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --to-examples if it exists.")
    ] = False,
) -> None:
    """Check and correct labels on a local web page.

    The first line printed is the page's address; open it in a browser on this machine. The doubtful documents come
    first. Decisions are kept beside the job with who and when; Ctrl-C ends the page. classify may run meanwhile.
    """
    if to_examples is not None:
        from thresher.review.examples import write_examples

        written = write_examples(job, to_examples, count=examples, overwrite=overwrite)
        print_note(f"{written.summary} written to {to_examples}")
        return
    try:
        from thresher.review.server import serve
    except ImportError as error:
        raise ExtraMissingError(
            "the review page needs Starlette and uvicorn: pip install 'thresher[review]'"
        ) from error
    serve(job, port=port, reviewer=_name(reviewer), announce=_announce)
    print_note("the page is closed; all decisions are kept")


def _announce(address: str) -> None:
    print(address, flush=True)
    print_note("open this address in a browser on this machine; Ctrl-C ends the page, decisions are kept")


def _name(given: str | None) -> str:
    if given is not None and not given.strip():
        raise UsageError("--reviewer is empty; give the name that is to stand beside the decisions")
    try:
        return (given or getpass.getuser()).strip()
    except (OSError, KeyError) as error:  # a user without a name, as in some containers
        raise UsageError("this user has no login name; say who decides with --reviewer NAME") from error
