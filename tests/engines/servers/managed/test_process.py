"""A server ends when it is told to, when Thresher ends, and with everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.programs import write_program
from thresher.engines.servers.managed import server_log, watcher
from thresher.engines.servers.managed.process import ServerProcess
from thresher.engines.servers.managed.server_log import ServerLog
from thresher.errors import EngineUnavailableError, JobError

#: Starts a grandchild in a session of its own, as some servers start their workers, says both ids, ignores SIGTERM.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
worker = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
print("ids", os.getpid(), worker.pid, flush=True)
time.sleep(600)
"""
#: Holds a server as Thresher does, and says the ids of the two.
HOLDER = """
import sys, time
from pathlib import Path
from thresher.engines.servers.managed.process import ServerProcess
from thresher.engines.servers.managed.server_log import ServerLog
process = ServerProcess([sys.argv[1]], ServerLog(Path(sys.argv[2])), {})
print(process.pid, flush=True)
if sys.argv[3] == "fork":
    import os
    if os.fork() == 0:
        time.sleep(600)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.engines.servers.managed.process.GRACE_S", 0.3)


@pytest.fixture
def log(tmp_path: Path) -> ServerLog:
    return ServerLog(tmp_path / "logs" / "server.log")


def ids_in(log: Path) -> list[psutil.Process]:
    """The processes that ``STUBBORN`` told of, once it has."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = [line for line in log.read_text().splitlines() if line.startswith("ids ")] if log.exists() else []
        if lines:
            return [psutil.Process(int(pid)) for pid in lines[-1].split()[1:]]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=30)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_stopping_ends_the_server_and_what_it_started(tmp_path: Path, log: ServerLog) -> None:
    process = ServerProcess([str(write_program(tmp_path / "server", STUBBORN))], log, {})
    both = ids_in(log.path)
    assert process.pid == both[0].pid
    assert all(process.owns(each.pid) for each in both)
    assert not process.owns(os.getpid())
    process.stop()
    process.stop()
    assert process.ended.is_set()
    assert process.how_it_ended() == "killed by SIGKILL"
    assert survivors(both) == []


def test_a_server_that_dies_takes_what_it_started_along(tmp_path: Path, log: ServerLog) -> None:
    process = ServerProcess([str(write_program(tmp_path / "server", STUBBORN))], log, {})
    both = ids_in(log.path)
    both[0].kill()
    assert process.ended.wait(30)
    assert process.how_it_ended() == "killed by SIGKILL"
    assert survivors(both) == []


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_kill_9_of_thresher_ends_the_server(tmp_path: Path, how: str) -> None:
    """Also where a fork of Thresher holds its pipes open."""
    server, log = write_program(tmp_path / "server", STUBBORN), tmp_path / "server.log"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(server), str(log), how], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    both = ids_in(log)
    forks = psutil.Process(holder.pid).children() if how == "fork" else []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    left = survivors(both)
    for fork in forks:
        fork.kill()
    holder.stdout.close()
    assert left == []


def test_the_server_ends_when_its_watcher_is_killed(tmp_path: Path, log: ServerLog) -> None:
    process = ServerProcess([str(write_program(tmp_path / "server", STUBBORN))], log, {})
    server = ids_in(log.path)[0]
    parent = server.parent()
    assert parent is not None
    parent.kill()
    assert process.ended.wait(30)
    assert process.how_it_ended() == "its watcher was killed"
    assert survivors([server]) == []
    process.stop()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(tmp_path: Path, log: ServerLog) -> None:
    process = ServerProcess([str(write_program(tmp_path / "server", STUBBORN))], log, {})
    try:
        assert os.getsid(process.pid) != os.getsid(0)
    finally:
        process.stop()


def test_exit_codes_are_told(tmp_path: Path, log: ServerLog) -> None:
    process = ServerProcess([str(write_program(tmp_path / "server", "print('no'); raise SystemExit(3)"))], log, {})
    assert process.ended.wait(30)
    assert process.how_it_ended() == "exit code 3"
    assert log.tail() == "no"


def test_what_is_told_in_the_environment_stands_in_no_command(tmp_path: Path, log: ServerLog) -> None:
    program = write_program(
        tmp_path / "server", "import os, time; print(os.environ['KEY'], flush=True); time.sleep(60)"
    )
    process = ServerProcess([str(program)], log, {"KEY": "secret-key"})
    try:
        server = psutil.Process(process.pid)
        assert "secret-key" not in " ".join(server.cmdline())
        assert "secret-key" not in " ".join(server.parent().cmdline() if server.parent() else [])  # type: ignore[union-attr]
    finally:
        process.stop()


def test_a_program_that_cannot_be_run_is_an_error(tmp_path: Path, log: ServerLog) -> None:
    (tmp_path / "data").write_text("no program")
    with pytest.raises(EngineUnavailableError, match="data cannot be run: Permission denied"):
        ServerProcess([str(tmp_path / "data")], log, {})


def test_the_cleanup_command_runs_when_the_server_has_ended(tmp_path: Path, log: ServerLog) -> None:
    done = tmp_path / "done"
    cleanup = [sys.executable, "-c", f"open({str(done)!r}, 'w').close()"]
    process = ServerProcess([sys.executable, "-c", "pass"], log, {}, cleanup)
    assert process.ended.wait(30)
    assert done.exists()


def test_a_long_log_is_cut_to_its_end(tmp_path: Path, log: ServerLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.engines.servers.managed.process.LIMIT_BYTES", 2_000_000)
    program = "import time\nfor n in range(60_000): print('line', n, 'x' * 40, flush=n % 1000 == 0)\ntime.sleep(60)"
    process = ServerProcess([sys.executable, "-c", program], log, {})
    deadline = time.monotonic() + 60
    while "59999" not in log.tail(1) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.stop()
    assert log.path.stat().st_size <= 2_000_000
    assert log.tail(2).splitlines()[-1].startswith("line 59")


def test_a_log_is_for_its_owner_only(log: ServerLog) -> None:
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700


def test_the_tail_is_that_of_the_latest_start(log: ServerLog) -> None:
    for word in ("first", "second"):
        log.begin(["server", word])
        with log.path.open("a") as file:
            file.write(f"{word} line\n\n")
    assert log.tail() == "second line"


def test_the_key_stands_in_no_log(log: ServerLog) -> None:
    log.conceal("the-key")
    log.begin(["server", "--api-key", "the-key", "--port", "1"])
    assert "server --api-key ... --port 1" in log.path.read_text()
    with log.path.open("a") as file:  # as SGLang does
        file.write("server_args=ServerArgs(api_key='the-key')\n")
    assert log.tail() == "server_args=ServerArgs(api_key='...')"


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(JobError, match="--job"):
        ServerLog(tmp_path / "logs" / "server.log")


def test_the_tail_that_is_kept_is_shorter_than_the_limit() -> None:
    assert watcher._LOG_TAIL_BYTES < server_log.LIMIT_BYTES
