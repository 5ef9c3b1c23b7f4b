"""A server is waited for, brought back, and given up in time."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thresher.engines.servers.managed import ports
from thresher.engines.servers.managed.health import is_healthy
from thresher.engines.servers.managed.launch import Launch, Place
from thresher.engines.servers.managed.ports import listeners, reserve_port
from thresher.engines.servers.managed.server_log import ServerLog
from thresher.engines.servers.managed.supervisor import Supervisor, Vigilance
from thresher.errors import EngineCapacityError, EngineError

HEALTHY = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if time.time() - started > delay else 503)
        self.end_headers()
    def log_message(self, *_):
        pass
started, delay = time.time(), float(sys.argv[2])
print("loading the weights", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
#: Dies soon after it was found healthy.
DYING = HEALTHY.replace(
    "self.end_headers()",
    "self.end_headers(); print('bad weights', flush=True); threading.Timer(0.3, os._exit, [7]).start()",
).replace("import http.server", "import http.server, os, threading")
VIGILANCE = Vigilance(start_timeout_s=30, report_every_s=0.4, most_crashes=3, first_delay_s=0.05, hang_timeout_s=0.5)


class Stage:
    """Makes supervisors over small programs, and closes them."""

    def __init__(self, folder: Path) -> None:
        self.log = ServerLog(folder / "server.log")
        self.said: list[str] = []
        self.places: list[Place] = []
        self.open: list[Supervisor] = []

    def supervisor(self, program: str, *arguments: str, vigilance: Vigilance = VIGILANCE) -> Supervisor:
        def prepare(place: Place) -> Launch:
            self.places.append(place)
            return Launch(command=(sys.executable, "-c", program, str(place.port), *arguments))

        supervisor = Supervisor("server", prepare, self.log, vigilance, self.said.append)
        self.open.append(supervisor)
        return supervisor


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("thresher.engines.servers.managed.process.GRACE_S", 0.3)
    stage = Stage(tmp_path)
    yield stage
    for supervisor in stage.open:
        supervisor.close()
        supervisor.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_server_is_waited_for_with_progress(stage: Stage) -> None:
    place = stage.supervisor(HEALTHY, "1.2").start()
    assert is_healthy(place.host, place.port)
    loading = [line for line in stage.said if "is loading the model" in line]
    assert loading
    assert all("loading the weights" in line for line in loading)
    assert "is ready after" in stage.said[-1]


def test_a_server_that_is_killed_comes_back_at_the_same_place(stage: Stage) -> None:
    supervisor = stage.supervisor(HEALTHY, "0")
    place = supervisor.start()
    for _ in range(2):
        pid = supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: supervisor.pid not in {None, pid} and is_healthy(place.host, place.port))  # noqa: B023
    assert len(set(stage.places)) == 1
    assert "died (killed by SIGKILL); it is started again in 0 s" in "\n".join(stage.said)
    assert supervisor.failure is None


def test_a_crash_loop_is_given_up_with_the_end_of_the_log(stage: Stage) -> None:
    supervisor = stage.supervisor(DYING, "0")
    supervisor.start()
    until(lambda: supervisor.failure is not None)
    message = str(supervisor.failure)
    assert "died 4 times without answering a request in between (last: exit code 7)" in message
    assert "bad weights" in message
    assert str(stage.log.path) in message


def test_what_keeps_it_from_being_started_again_is_no_wait_without_end(stage: Stage) -> None:
    supervisor = stage.supervisor(HEALTHY, "0")
    supervisor.start()
    stage.log.path.unlink()
    stage.log.path.mkdir()
    pid = supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: supervisor.failure is not None)
    assert "server cannot be started again" in str(supervisor.failure)


def test_answers_in_between_are_no_crash_loop(stage: Stage) -> None:
    supervisor = stage.supervisor(HEALTHY, "0")
    place = supervisor.start()
    for _ in range(VIGILANCE.most_crashes + 2):
        pid = supervisor.pid
        assert pid is not None
        supervisor.progressed()
        os.kill(pid, signal.SIGKILL)
        until(lambda: supervisor.pid not in {None, pid} and is_healthy(place.host, place.port))  # noqa: B023
    assert supervisor.failure is None


def test_a_server_of_no_use_is_started_anew(stage: Stage) -> None:
    supervisor = stage.supervisor(HEALTHY, "0")
    supervisor.start()
    pid = supervisor.pid
    supervisor.watch_for_trouble(lambda: supervisor.pid == pid)
    until(lambda: supervisor.pid not in {None, pid})
    assert "died (no answer for 0 s)" in "\n".join(stage.said)


def test_a_server_that_ends_at_once_is_an_error_with_its_log(stage: Stage) -> None:
    with pytest.raises(EngineError, match=r"(?s)did not start \(exit code 4\).*unknown model architecture"):
        stage.supervisor("print('unknown model architecture'); raise SystemExit(4)").start()


@pytest.mark.parametrize("line", [
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 900.00 MiB on device 0: cudaMalloc failed: out of memory",
    "torch.OutOfMemoryError: CUDA out of memory.", "ValueError: No available memory for the cache blocks.",
])  # fmt: skip
def test_too_little_memory_is_an_error_of_its_own_with_a_remedy(stage: Stage, line: str) -> None:
    with pytest.raises(EngineCapacityError, match=r"(?s)want of memory.*smaller --context"):
        stage.supervisor(f"print({line!r}); raise SystemExit(1)").start()


def test_a_server_that_never_gets_healthy_is_an_error_with_its_log(stage: Stage) -> None:
    vigilance = Vigilance(start_timeout_s=1.0)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"(?s)not healthy after 1 s.*loading the weights"):
        stage.supervisor(HEALTHY, "600", vigilance=vigilance).start()
    assert time.monotonic() - start < 30


def test_a_port_that_another_program_took_is_left_to_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    other = stage.supervisor(HEALTHY, "0")
    taken = other.start()
    ways = iter([taken.port, reserve_port()])
    monkeypatch.setattr("thresher.engines.servers.managed.supervisor.reserve_port", lambda: next(ways))
    supervisor = stage.supervisor(HEALTHY, "0")
    place = supervisor.start()
    assert place.port != taken.port
    assert is_healthy(taken.host, taken.port)
    assert place.api_key != taken.api_key


def test_no_port_at_all_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = stage.supervisor(HEALTHY, "0").start()
    monkeypatch.setattr("thresher.engines.servers.managed.supervisor.reserve_port", lambda: taken.port)
    with pytest.raises(EngineError, match="another program listens"):
        stage.supervisor(HEALTHY, "0").start()


def test_closing_while_it_is_brought_back(stage: Stage) -> None:
    supervisor = stage.supervisor(HEALTHY, "0", vigilance=Vigilance(first_delay_s=30))
    supervisor.start()
    pid = supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: "died" in stage.said[-1])
    start = time.monotonic()
    supervisor.close()
    assert time.monotonic() - start < 10
    assert supervisor.failure is None


def test_reserved_ports_are_given_to_nobody_and_can_be_bound() -> None:
    reserved = {reserve_port() for _ in range(50)}
    assert len(reserved) == 50
    given = set()
    for _ in range(200):
        with socket.socket() as other:
            other.bind((ports.LOOPBACK, 0))
            given.add(other.getsockname()[1])
    assert not given & reserved
    port = reserved.pop()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ports.LOOPBACK, port))
        server.listen()
        assert listeners(port) == {os.getpid()}
