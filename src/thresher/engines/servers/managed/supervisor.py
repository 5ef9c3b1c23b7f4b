"""Keeps one server running: starts it, waits until it is ready, starts it again when it has died, gives up in time."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from thresher.closing import Closing
from thresher.engines.servers.managed.health import is_healthy
from thresher.engines.servers.managed.launch import Launch, Place, Prepare
from thresher.engines.servers.managed.ports import LOOPBACK, listeners, reserve_port
from thresher.engines.servers.managed.process import ServerProcess
from thresher.engines.servers.managed.server_log import ServerLog
from thresher.engines.servers.managed.start_failure import start_failure
from thresher.errors import EngineError

logger = logging.getLogger(__name__)

_PORT_ATTEMPTS = 3
_POLL_S = 0.1
_LONGEST_LINE = 160
_CLOSE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigilance:
    """How long the server may take, and how often it may die."""

    start_timeout_s: float = 600.0
    report_every_s: float = 10.0
    most_crashes: int = 5  # in a row, without an answer in between
    first_delay_s: float = 1.0  # before it is started again; doubled with every crash
    longest_delay_s: float = 30.0
    hang_timeout_s: float = 60.0  # of being of no use while its process runs


class PortTakenError(EngineError):
    """Another program listens where the server was to."""


class _ClosingError(EngineError):
    """The run is over; no server is wanted any more."""


class Supervisor(Closing):
    """One server at one place, whatever happens to its process.

    ``say`` is called with what people should know, also from a thread of the supervisor's own.
    """

    def __init__(
        self, name: str, prepare: Prepare, log: ServerLog, vigilance: Vigilance, say: Callable[[str], None]
    ) -> None:
        self._name = name
        self._prepare = prepare
        self._log = log
        self._vigilance = vigilance
        self._say = say
        self._process: ServerProcess | None = None
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        self._crashes = 0  # in a row
        self._troubled: Callable[[], bool] = lambda: False
        self.failure: EngineError | None = None  # why no server will come back

    @property
    def pid(self) -> int | None:
        """Of the server's present process."""
        return None if self._process is None else self._process.pid

    def start(self) -> Place:
        """Start the server, wait until it is healthy, and keep it running from then on.

        Raises:
            EngineUnavailableError: it cannot be run.
            EngineCapacityError: it ended because it found too little memory.
            EngineError: it ended for another reason, or was not healthy in time; the message ends with its log's end.
        """
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            place = Place(host=LOOPBACK, port=reserve_port(), api_key=secrets.token_hex(32))
            try:
                self._start_at(place)
                break
            except PortTakenError:
                if attempt == _PORT_ATTEMPTS:
                    raise
                logger.info("%s: port %d was taken by another program; another one is tried", self._name, place.port)
        self._keeper = threading.Thread(target=self._keep, args=(place,), name=f"keep {self._name}", daemon=True)
        self._keeper.start()
        return place

    def watch_for_trouble(self, troubled: Callable[[], bool]) -> None:
        """``troubled`` says whether the server is of no use now; one that stays so for too long is started anew."""
        self._troubled = troubled

    def progressed(self) -> None:
        """A request was answered: earlier crashes are no loop."""
        self._crashes = 0

    def close(self) -> None:
        """Stop the server. Safe twice."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(_CLOSE_TIMEOUT_S)
        self._stop()

    def _keep(self, place: Place) -> None:
        try:
            while True:
                how = self._until_it_ends()
                self._stop()
                self._revive(place, how)
        except _ClosingError:
            pass
        except EngineError as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001 - whoever waits for the server must learn that it does not come
            self.failure = EngineError(f"{self._name} cannot be started again: {error}")

    def _until_it_ends(self) -> str:
        """How the process ended, or that it had to be ended."""
        process = self._process
        assert process is not None, "it was started"  # noqa: S101
        trouble_since_s: float | None = None
        while not process.ended.wait(_POLL_S):
            self._check_wanted()
            if not self._troubled():
                trouble_since_s = None
                continue
            trouble_since_s = trouble_since_s or time.monotonic()
            if time.monotonic() - trouble_since_s > self._vigilance.hang_timeout_s:
                return f"no answer for {self._vigilance.hang_timeout_s:.0f} s"
        self._check_wanted()
        return process.how_it_ended()

    def _revive(self, place: Place, how: str) -> None:
        """Start it again, each time after a longer while; raises ``EngineError`` when that is no use."""
        while True:
            self._crashes += 1
            if self._crashes > self._vigilance.most_crashes:
                raise EngineError(
                    f"{self._name} died {self._crashes} times without answering a request in between (last: {how}), "
                    f"and is not started again; the end of its log ({self._log.path}):\n{self._log.tail()}"
                )
            delay_s = min(self._vigilance.longest_delay_s, self._vigilance.first_delay_s * 2.0 ** (self._crashes - 1))
            self._say(f"{self._name} died ({how}); it is started again in {delay_s:.0f} s (log: {self._log.path})")
            self._closing.wait(delay_s)
            self._check_wanted()
            try:
                self._start_at(place)
                return
            except _ClosingError:
                raise
            except EngineError as error:
                how = str(error).splitlines()[0]

    def _check_wanted(self) -> None:
        if self._closing.is_set():
            raise _ClosingError

    def _start_at(self, place: Place) -> None:
        self._log.conceal(place.api_key)
        launch = self._prepare(place)
        self._process = ServerProcess(launch.command, self._log, launch.environment, launch.cleanup)
        try:
            self._wait_until_healthy(self._process, launch, place)
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def _wait_until_healthy(self, process: ServerProcess, launch: Launch, place: Place) -> None:
        start_s = time.monotonic()
        next_report_s = self._vigilance.report_every_s
        while not is_healthy(place.host, place.port):
            if process.ended.wait(_POLL_S):
                raise self._died_at_start(process, place)
            self._check_wanted()
            waited_s = time.monotonic() - start_s
            if waited_s > self._vigilance.start_timeout_s:
                how = f"not healthy after {self._vigilance.start_timeout_s:.0f} s"
                raise start_failure(self._name, how, self._log)
            if waited_s > next_report_s:
                next_report_s += self._vigilance.report_every_s
                last = self._log.tail(1)[:_LONGEST_LINE]
                self._say(f"{self._name} is loading the model, for {waited_s:.0f} s now: {last}")
        if launch.listens_itself:
            self._check_owner(process, place)
        self._say(f"{self._name} is ready after {time.monotonic() - start_s:.0f} s (log: {self._log.path})")

    def _check_owner(self, process: ServerProcess, place: Place) -> None:
        """What answers must be ours: documents are sent there."""
        found = listeners(place.port)
        if found is not None and not any(process.owns(pid) for pid in found):
            raise self._port_taken(place)

    def _died_at_start(self, process: ServerProcess, place: Place) -> EngineError:
        if listeners(place.port):
            return self._port_taken(place)
        return start_failure(self._name, process.how_it_ended(), self._log)

    def _port_taken(self, place: Place) -> PortTakenError:
        return PortTakenError(f"{self._name}: another program listens at {place.url}")
