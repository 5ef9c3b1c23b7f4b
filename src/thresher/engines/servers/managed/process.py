"""A server process as Thresher sees it: started through the watcher, told to stop, or found dead."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from thresher.engines.servers.managed.server_log import LIMIT_BYTES, ServerLog
from thresher.errors import EngineUnavailableError

#: From being told to end until it is killed.
GRACE_S = 5.0
#: The watcher starts Python and psutil.
_WATCHER_TIMEOUT_S = 60.0


def watcher_command() -> list[str]:
    """This interpreter with this process's import path, and no ``__main__`` to import."""
    package_home = str(Path(__file__).parents[4])
    bootstrap = (
        "import sys; sys.path[:] = sys.argv[1:]; from thresher.engines.servers.managed.watcher import main; main()"
    )
    return [sys.executable, "-P", "-c", bootstrap, *filter(None, sys.path), package_home]


class ServerProcess:
    """A started server. It ends when ``stop`` is called and when this process ends, in whatever way.

    ``cleanup`` is a command that is run once it has ended, also by the watcher alone.

    Raises:
        EngineUnavailableError: the command cannot be run.
    """

    def __init__(
        self, command: Sequence[str], log: ServerLog, environment: Mapping[str, str], cleanup: Sequence[str] = ()
    ) -> None:
        log.begin(command)
        self.ended = threading.Event()
        self.exit_code: int | None = None  # once ended; None also where the watcher died
        self._told: dict[str, int | str] = {}
        self._started = threading.Event()
        with log.path.open("ab") as errors:
            self._watcher = subprocess.Popen(
                watcher_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, **environment}, start_new_session=True,  # Ctrl-C is for us alone
            )  # fmt: skip
        order = {
            "command": list(command), "log": str(log.path), "log_limit_bytes": LIMIT_BYTES,
            "grace_s": GRACE_S, "cleanup": list(cleanup),
        }  # fmt: skip
        assert self._watcher.stdin is not None  # noqa: S101
        self._input = self._watcher.stdin
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._send(json.dumps(order).encode() + b"\n")
            self._started.wait(_WATCHER_TIMEOUT_S)
            self.pid = self._pid(command, log)
        except BaseException:
            self.stop()
            raise

    def owns(self, pid: int) -> bool:
        """Whether the process ``pid`` is the server or was started by it."""
        try:
            parents = psutil.Process(pid).parents()
        except psutil.Error:
            return False
        return pid == self.pid or any(parent.pid in (self.pid, self._watcher.pid) for parent in parents)

    def kill(self) -> None:
        """End the server at once, as something that hangs; ``ended`` follows."""
        with contextlib.suppress(psutil.Error):
            psutil.Process(self.pid).kill()

    def stop(self) -> None:
        """End the server and all it started. Safe twice."""
        self._close_input()
        if not self.ended.wait(GRACE_S + 10):
            self._kill_watcher()
            self.ended.wait(5)

    def _pid(self, command: Sequence[str], log: ServerLog) -> int:
        told = self._told
        if "pid" in told:
            return int(told["pid"])
        reason = told.get("error") or f"its watcher did not start: {log.tail(3)}"
        raise EngineUnavailableError(f"{command[0]} cannot be run: {reason}")

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):  # it ended; what it said is told by ``_pid``
            self._input.write(line)
            self._input.flush()

    def _listen(self) -> None:
        assert self._watcher.stdout is not None  # noqa: S101
        with self._watcher.stdout as stream:
            for line in stream:
                self._told.update(json.loads(line))
                self._started.set()
        code = self._told.get("exit_code")
        self.exit_code = None if code is None else int(code)
        self._started.set()
        if code is None:  # the watcher itself was killed: what it watched must not outlive it
            self._kill_group()
        self._close_input()
        self._watcher.wait()
        self.ended.set()

    def _close_input(self) -> None:
        with contextlib.suppress(OSError):  # what was written did not arrive
            self._input.close()

    def _kill_watcher(self) -> None:
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._watcher.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
        self._watcher.kill()

    def _kill_group(self) -> None:
        if "pid" in self._told and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(self._told["pid"]), signal.SIGKILL)

    def how_it_ended(self) -> str:
        """In words, for messages; asked only once ``ended``."""
        if self.exit_code is None:
            return "its watcher was killed"
        if self.exit_code >= 0:
            return f"exit code {self.exit_code}"
        try:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        except ValueError:
            return f"killed by signal {-self.exit_code}"
