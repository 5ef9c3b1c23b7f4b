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
        self._secret: str | None = None
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        except OSError as error:
            raise JobError(f"the log {path} cannot be written: {error.strerror}; choose another --job") from error

    def conceal(self, secret: str | None) -> None:
        """From now on, ``secret`` is not shown: some programs take their key as an argument, or tell it themselves."""
        self._secret = secret

    def _shown(self, text: str) -> str:
        return text.replace(self._secret, "...") if self._secret else text

    def begin(self, command: Sequence[str]) -> None:
        """Head the output of a new start."""
        with self.path.open("ab") as file:
            self._start = file.tell()
            file.write(f"\n=== {time.strftime('%Y-%m-%d %H:%M:%S')} {self._shown(shlex.join(command))}\n".encode())

    def tail(self, lines: int = 12) -> str:
        """The last lines of the latest start, without its head."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._start if self._start <= size else 0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        written = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("=== ")]
        return self._shown("\n".join(written[-lines:]))
