"""What the simulated servers have in common: routes, JSON in and out, keys, and accidents on demand."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Body = Mapping[str, Any]
Reply = tuple[int, Any]  # status, what is sent as JSON
Handle = Callable[[Body], Reply]


class RefusalError(Exception):
    """Ends a request with this status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class SimulatedServer:
    """A server in threads of its own. ``accidents`` change what its routes would have said."""

    def __init__(self, *, api_key: str | None = None) -> None:
        self.api_key = api_key
        self.requests: list[tuple[str, Body]] = []  # path, body
        #: Given path, body and reply, what is said instead.
        self.accidents: list[Callable[[str, Body, Reply], Reply | bytes]] = []

    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """(method, path) -> what answers it."""
        raise NotImplementedError

    def unauthorized(self) -> Reply:
        """What is said to a wrong key."""
        return 401, {"error": "Unauthorized"}

    def not_found(self) -> Reply:
        """What is said of an unknown path."""
        return 404, {"detail": "Not Found"}

    def reply(self, method: str, path: str, body: Body, key: str | None) -> Reply | bytes:
        """The answer to one request; bytes are sent as they are, with status 200."""
        self.requests.append((path, body))
        reply: Reply | bytes = self._plain_reply(method, path, body, key)
        for accident in self.accidents:
            if isinstance(reply, tuple):
                reply = accident(path, body, reply)
        return reply

    def _plain_reply(self, method: str, path: str, body: Body, key: str | None) -> Reply:
        handle = self.routes().get((method, path))
        if self.api_key is not None and path.startswith("/v1") and key != f"Bearer {self.api_key}":
            return self.unauthorized()
        if handle is None:
            return self.not_found()
        try:
            return handle(body)
        except RefusalError as refusal:
            return refusal.status, refusal.body

    def asked(self, path: str) -> list[Body]:
        """The bodies of all requests for ``path``."""
        return [body for asked, body in self.requests if asked == path]

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"state": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    state: SimulatedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._serve(json.loads(content) if content else {})

    def _serve(self, body: Body) -> None:
        reply = self.state.reply(self.command, urlsplit(self.path).path, body, self.headers["Authorization"])
        status, content = (200, reply) if isinstance(reply, bytes) else (reply[0], json.dumps(reply[1]).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
