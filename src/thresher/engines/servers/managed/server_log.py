"""The file that a server writes to, kept in the job's folder."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from thresher.errors import JobError

LIMIT_BYTES = 32 << 20
_TAIL_BYTES = 64 << 10


class ServerLog:
    """One file for all starts of one server; each start begins with the command.

    Raises:
        JobError: the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0  # where the latest start begins
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        except OSError as error:
            raise JobError(f"the log {path} cannot be written: {error.strerror}; choose another --job") from error

    def begin(self, command: Sequence[str]) -> None:
        """Head the output of a new start, without the key that some programs take as an argument only."""
        shown = [
            "..." if before == "--api-key" else word for before, word in zip(["", *command], command, strict=False)
        ]
        with self.path.open("ab") as file:
            self._start = file.tell()
            file.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {shlex.join(shown)}\n".encode())

    def tail(self, lines: int = 12) -> str:
        """The last lines of the latest start, without its head."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._start if self._start <= size else 0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        written = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("=== ")]
        return "\n".join(written[-lines:])
