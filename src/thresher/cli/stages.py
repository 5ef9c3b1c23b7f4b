"""What ``--verbose`` says: where the time went."""

from __future__ import annotations

from collections.abc import Mapping

from thresher.cli.console import print_table
from thresher.pipeline import StageTime


def print_stages(stages: Mapping[str, StageTime]) -> None:
    """A table on stderr. Stages run beside each other, so their shares do not add up to 100%."""
    rows = [
        (name, f"{stage.busy_seconds:,.2f} s", f"{stage.share:.1%}", _count(stage.documents), _count(stage.tokens))
        for name, stage in stages.items()
    ]
    columns = ("stage", "busy", "of the time", "documents", "tokens")
    print_table(columns, rows, right=columns[1:], to_stderr=True)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
