"""What people see: messages and progress on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from thresher.durations import duration
from thresher.pipeline import ProgressState


def print_error(message: str) -> None:
    """An error, on stderr."""
    _stderr().print(Text(_lines(f"error: {message}"), style="red"), soft_wrap=True)


def print_note(message: str) -> None:
    """Something a person should know, on stderr."""
    _stderr().print(Text(_lines(message)), soft_wrap=True)


def print_json(value: Any) -> None:
    """A result as one JSON object, on stdout, figures unrounded."""
    print(json.dumps(value, ensure_ascii=True, indent=2))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), *, to_stderr: bool = False
) -> None:
    """A result as a table, on stdout unless told otherwise; columns named in ``right`` are set flush right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_printable(cell)) for cell in row))
    stream = sys.stderr if to_stderr else sys.stdout
    console = Console(file=stream, soft_wrap=False, width=None if stream.isatty() else 160)
    console.print(table)


def print_line(text: str) -> None:
    """A line of a result, on stdout."""
    print(_printable(text))


def _printable(text: str) -> str:
    """Without control characters, which could drive the terminal, and without what its encoding lacks."""
    clean = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    encoding = sys.stdout.encoding or "utf-8"
    return clean.encode(encoding, "replace").decode(encoding)


def _lines(message: str) -> str:
    """A message without control characters: it may quote the name of a file, a cell or what a library said."""
    return "\n".join(map(_printable, message.split("\n")))


def _stderr() -> Console:
    return Console(file=sys.stderr, highlight=False)


class LiveProgress:
    """A live line with documents, rate, failures and ETA on a terminal; elsewhere only the messages."""

    def __init__(self) -> None:
        self._console = _stderr()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("listing", total=None, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def message(self, text: str) -> None:
        """Something a person should know."""
        self._console.print(Text(_lines(text)), soft_wrap=True)

    def listed(self, documents: int) -> None:
        """So many documents were listed so far."""
        self._bar.update(self._task, completed=documents)

    def update(self, state: ProgressState) -> None:
        """The run stands here now."""
        eta = "" if state.eta_s is None else f"  ETA {duration(state.eta_s)}"
        failed = f"  {state.documents_failed} failed" if state.documents_failed else ""
        self._bar.update(
            self._task,
            description="labelling",
            total=state.documents_total,
            completed=state.documents_done,
            figures=f"{state.tokens_per_second:,.0f} tok/s{failed}{eta}",
        )
