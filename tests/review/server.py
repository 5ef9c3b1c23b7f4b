"""A review page in a process of its own, and requests to it that a browser would not send."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit


class Server:
    """``thresher review`` of one job, from ``with`` to its end."""

    def __init__(self, job: Path, *, reviewer: str = "ada") -> None:
        command = [sys.executable, "-m", "thresher", "review", str(job), "--reviewer", reviewer]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()[1]
        parts = urlsplit(self.url)
        self.port = parts.port or 0
        self.origin = f"http://127.0.0.1:{self.port}"
        self.token = parts.query.removeprefix("token=")
        self.cookie = f"thresher-review-{self.port}={self.token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> str:
        """End it as Ctrl-C does; what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[1]

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.communicate(timeout=30)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], str]:
        """Status, headers (names in lower case) and body of a GET with the token in the cookie, or with ``headers``."""
        return self.request("GET", path, {"Cookie": self.cookie} if headers is None else headers)

    def post(
        self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """As ``get``, for a form sent as the page's own are."""
        usual = {"Cookie": self.cookie, "Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", path, usual if headers is None else headers, urlencode(form))

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Any request, its path sent as it stands."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=dict(headers))
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text
        finally:
            connection.close()
