"""What is measured now, as people see it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status

from thresher.cli.console import print_note
from thresher.durations import duration


class LiveBench:
    """What is measured now, on a terminal; elsewhere a line for each case."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status = Status("", console=self._console)
        self._case = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._status.stop()

    def message(self, text: str) -> None:
        """Something a person should know."""
        print_note(text)

    def case(self, number: int, of: int, name: str, eta_s: float | None) -> None:
        """A case begins."""
        place = f"{number} of {of}: " if of else ""
        eta = "" if eta_s is None else f", ETA {duration(eta_s)}"
        self._case = f"{place}{name}{eta}"
        if not self._console.is_terminal:
            print_note(self._case)
        self._status.update(self._case)

    def step(self, text: str) -> None:
        """Within a case."""
        if text:
            self._status.update(f"{self._case}: {text}")
