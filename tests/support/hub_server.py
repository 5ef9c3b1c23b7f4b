"""A hub on loopback: the endpoints that fetching a model needs, and their accidents."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """``repositories[name][path]`` is a file's content. The other fields say what goes wrong."""

    repositories: dict[str, dict[str, bytes]]
    gated: frozenset[str] = frozenset()
    status: int | None = None  # every request is answered with it
    cut_after: list[int] = field(default_factory=list)  # bytes after which the next downloads break off
    ignores_ranges: bool = False
    spoilt: bool = False  # downloads carry other bytes than the listing promises
    gone: bool = False  # connections that are still open bring nothing more
    claimed_bytes: dict[str, int] = field(default_factory=dict)  # by file name, of files that go on with zeros
    sent_bytes: int = 0  # in answers to range requests
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range

    def __enter__(self) -> HubServer:
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gone = True
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def downloads(self) -> list[str | None]:
        """The Range header of every GET of a file, in order."""
        return [wanted for method, path, wanted in self.requests if method == "GET" and "/resolve/" in path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    state: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(body=True)

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def _serve(self, *, body: bool) -> None:
        if self.state.gone:
            self.close_connection = True
            return
        path = urlsplit(self.path).path
        self.state.requests.append((self.command, path, self.headers["Range"]))
        if self.state.status is not None:
            self._reply(self.state.status, b"", body)
        elif path.startswith("/api/models/"):
            self._list("/".join(path.split("/")[3:5]), body)
        else:
            owner, repository, _, _, *file = path.strip("/").split("/")
            self._file(f"{owner}/{repository}", "/".join(file), body)

    def _list(self, repository: str, body: bool) -> None:
        if repository in self.state.gated:
            self._reply(401, b"{}", body, {"X-Error-Code": "GatedRepo", "X-Error-Message": "restricted"})
            return
        if repository not in self.state.repositories:
            self._reply(401, b"{}", body, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": "0" * 40,
                "lfs": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130},
            }
            for name, content in self.state.repositories[repository].items()
        ]
        listing = {"id": repository, "sha": COMMIT, "siblings": siblings}
        self._reply(200, json.dumps(listing).encode(), body, {"Content-Type": "application/json"})

    def _file(self, repository: str, name: str, body: bool) -> None:
        content = self.state.repositories[repository][name]
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if self.state.spoilt:
            content = bytes(len(content))
        wanted = self.headers["Range"]
        if wanted and not self.state.ignores_ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1 if last else None]
            size = self.state.claimed_bytes.get(name, len(content))
            headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{size}"
            self.state.sent_bytes += len(part)
            self._reply(206, part, body, headers)
        else:
            self._reply(200, content, body, headers)

    def _reply(self, status: int, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        if "/resolve/" in self.path and self.state.cut_after:
            self.wfile.write(content[: self.state.cut_after.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
