"""A free loopback port that stays free until the server takes it, and whose it is afterwards."""

from __future__ import annotations

import contextlib
import socket

import psutil

LOOPBACK = "127.0.0.1"


def reserve_port() -> int:
    """A port that the system gives to nobody else for a minute, unless it is asked for by number.

    A connection that was closed by its server leaves the port in the state TIME_WAIT: the system does not hand it out,
    and a server that sets SO_REUSEADDR, as all that we start do, may bind it.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, 0))
        listener.listen(1)
        address = listener.getsockname()
        client.connect(address)
        accepted, _ = listener.accept()
        accepted.close()  # first, so that it is the server's side that waits
        with contextlib.suppress(OSError):
            client.recv(1)
        return int(address[1])


def listeners(port: int) -> set[int] | None:
    """The processes that listen on ``port``, 0 for one of another user; None where the system does not say."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:  # macOS tells the administrator only
        return None
    return {c.pid or 0 for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port}
