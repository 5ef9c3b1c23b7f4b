"""Asking a server on this machine whether it is ready."""

from __future__ import annotations

import contextlib
import http.client

_TIMEOUT_S = 5.0


def is_healthy(host: str, port: int) -> bool:
    """Whether ``GET /health`` says 200; llama-server says 503 while it loads, the others do not listen yet.

    Goes straight to the address: a proxy of the environment is none of a loopback server's business.
    """
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
