"""``thresher engines``: which engines can run here, and why not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from thresher.cli.console import print_json, print_table
from thresher.engines import availability


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """List the engines.

    For each, whether it can run on this machine, and if not, why.
    """
    found = availability()
    if as_json:
        print_json({"engines": [asdict(engine) for engine in found]})
        return
    rows = [(e.name, "yes" if e.available else "no", e.version, e.reason) for e in found]
    print_table(("engine", "can run", "version", "about"), rows)
