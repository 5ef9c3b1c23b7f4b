"""What the simulated servers have in common: a table of routes, JSON in and out, a key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fault_server import Asked, Status

Body = Mapping[str, Any]
Handle = Callable[[Body], Any]


class RefusalError(Exception):
    """Ends a request with this status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Simulator:
    """Answers requests; the socket is :class:`~tests.support.fault_server.FaultServer`'s."""

    def __init__(self, *, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.bodies: list[tuple[str, Body]] = []  # path and body of every request that came
        self._mutex = threading.Lock()

    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """(method, path) -> what gives the answer's JSON."""
        raise NotImplementedError

    def unauthorized(self) -> object:
        """What is said to a wrong key."""
        return {"error": "Unauthorized"}

    def __call__(self, asked: Asked) -> Status:
        body = asked.json() if asked.body else {}
        with self._mutex:
            self.bodies.append((asked.path, body))
        if self.api_key is not None and asked.headers.get("authorization") != f"Bearer {self.api_key}":
            return Status(401, self.unauthorized())
        handle = self.routes().get((asked.method, asked.path))
        if handle is None:
            return Status(404, {"detail": "Not Found"})
        try:
            return Status(200, handle(body))
        except RefusalError as refusal:
            return Status(refusal.status, refusal.body)

    def asked(self, path: str) -> list[Body]:
        """The bodies of all requests for ``path``."""
        return [body for asked, body in self.bodies if asked == path]
