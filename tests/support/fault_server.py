"""A server on a real socket that has accidents: it answers as told, or breaks as told.

    with FaultServer(forward_to(real_url)) as server:      # or any function from Asked to an answer
        server.accidents.append(Accident("/completion", Status(500), times=1))
        ... server.url ...

An accident befalls the next ``times`` requests (None: all) whose path begins with its own; the others are answered as
usual. ``server.asked`` has every request that came, with its headers.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import ssl
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Signed by nobody, for 127.0.0.1 and localhost.
SELF_SIGNED = Path(__file__).with_name("self_signed.pem")


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Status:
    """A whole answer."""

    status: int = 200
    body: Any = None  # bytes as they are, anything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Whatever"]
        headers = {"Content-Type": "application/json", **self.headers, "Content-Length": str(len(self.content()))}
        return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode() + self.content()


@dataclass(frozen=True)
class Cut:
    """The usual answer, and the connection ends after so many bytes of it; 0: before anything, by a reset."""

    after_bytes: int = 60


@dataclass(frozen=True)
class Slow:
    """The usual answer a byte at a time, with a pause before each."""

    pause_s: float = 0.05


@dataclass(frozen=True)
class Hang:
    """No byte comes, and the connection stays open."""


@dataclass(frozen=True)
class Changed:
    """The usual answer, its JSON changed by a function."""

    change: Callable[[Any], Any]


Answer = Status | Cut | Slow | Hang | Changed


@dataclass
class Accident:
    """What befalls the next ``times`` requests whose path begins with ``path``; None: all of them."""

    path: str
    answer: Answer
    times: int | None = 1
    only: Callable[[Asked], bool] = lambda _: True  # of these requests
    until_s: float = math.inf  # of the steady clock

    def befalls(self, asked: Asked) -> bool:
        if time.monotonic() > self.until_s:
            return False
        if self.times == 0 or not asked.path.startswith(self.path) or not self.only(asked):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultServer:
    """See the module. ``usual`` answers what no accident befalls; it may be called from several threads."""

    def __init__(self, usual: Callable[[Asked], Status], *, tls: bool = False) -> None:
        self.accidents: list[Accident] = []
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._usual = usual
        self._lock = threading.Lock()
        self._at_once = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(SELF_SIGNED)
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def befall(self, path: str, answer: Answer, times: int | None = 1) -> None:
        self.accidents.append(Accident(path, answer, times))

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """As if the process were gone: no more connections, and the open ones are cut."""
        self._ended.set()
        with self._lock:
            connections = list(self._connections)
        for closed in (self._listener, *connections):
            with contextlib.suppress(OSError):
                closed.shutdown(socket.SHUT_RDWR)
            closed.close()
        self._thread.join()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with self._lock:
                self._connections.add(connection)
            with connection, connection.makefile("rb") as reader:
                while not self._ended.is_set() and (asked := _read(reader)) is not None:
                    if not self._answer(connection, asked):
                        return
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _answer(self, connection: socket.socket, asked: Asked) -> bool:
        with self._lock:
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            accident = next((a.answer for a in self.accidents if a.befalls(asked)), None)
        try:
            return self._send(connection, asked, accident)
        finally:
            with self._lock:
                self._at_once -= 1

    def _send(self, connection: socket.socket, asked: Asked, accident: Answer | None) -> bool:
        """Whether the connection lives on."""
        if isinstance(accident, Hang):
            self._ended.wait()
            return False
        if isinstance(accident, Cut) and not accident.after_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if isinstance(accident, Status):
            connection.sendall(accident.bytes())
            return True
        answer = self._usual(asked)
        if isinstance(accident, Changed):
            answer = Status(answer.status, accident.change(json.loads(answer.content())), answer.headers)
        if isinstance(accident, Cut):
            connection.sendall(answer.bytes()[: accident.after_bytes])
            return False
        if isinstance(accident, Slow):
            for byte in answer.bytes():
                connection.sendall(bytes((byte,)))
                time.sleep(accident.pause_s)
            return True
        connection.sendall(answer.bytes())
        return True


def _read(reader: Any) -> Asked | None:
    start = reader.readline()
    if not start.strip():
        return None
    method, path, _ = start.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    body = reader.read(length)
    if len(body) < length:  # whoever asked has gone: a batch that is left half read, for one
        return None
    return Asked(method, path, headers, body)


def forward_to(url: str) -> Callable[[Asked], Status]:
    """Answers as the server at ``url`` does."""

    def usual(asked: Asked) -> Status:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": asked.headers["authorization"]} if "authorization" in asked.headers else {}
        body = asked.body if asked.method == "POST" else None
        request = urllib.request.Request(url + asked.path, body, headers, method=asked.method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return Status(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Status(error.code, error.read())

    return usual
