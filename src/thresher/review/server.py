"""Serves the review page of one job on the loopback interface until it is interrupted."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn

from thresher.errors import UsageError
from thresher.jobs import ReviewLog
from thresher.review.desk import Desk
from thresher.review.guard import Guard, cookie_name
from thresher.review.index import ReviewIndex
from thresher.review.progress import Refresher
from thresher.review.rows import Rows
from thresher.review.web import application

_LOOPBACK = "127.0.0.1"


def serve(folder: Path, *, port: int, reviewer: str, announce: Callable[[str], None]) -> None:
    """Serve the page; returns when it is interrupted.

    Args:
        folder: the job's.
        port: 0 takes any that is free.
        reviewer: stored with every decision.
        announce: is given the whole address, with the token, once it answers.

    Raises:
        JobError: there is no job in ``folder``, or its files cannot be used.
        UsageError: the port is taken or not allowed.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(ReviewLog.open(folder))
        listening = stack.enter_context(contextlib.closing(_listen(port)))
        refresher = stack.enter_context(Refresher(folder, lambda: ReviewIndex(folder, log.seed)))
        refresher.start()
        rows = stack.enter_context(contextlib.closing(Rows(folder)))
        token, port = secrets.token_urlsafe(24), listening.getsockname()[1]
        app = Guard(application(Desk(folder, log, rows, reviewer), lambda: refresher.state), token=token, port=port)
        first = threading.Thread(target=_announce, args=(port, token, announce), daemon=True)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off", ws="none",
            timeout_graceful_shutdown=3,
        )  # fmt: skip
        first.start()
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run(sockets=[listening])


def _announce(port: int, token: str, announce: Callable[[str], None]) -> None:
    """Ask for the first page, which takes longer than all others, and then give the address away."""
    with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection(_LOOPBACK, port)) as connection:
        connection.request("GET", "/", headers={"Cookie": f"{cookie_name(port)}={token}"})
        connection.getresponse().read()
    announce(f"http://{_LOOPBACK}:{port}/?token={token}")


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"port {port} cannot be used ({error.strerror}); choose another --port, or 0 for any"
        ) from error
    return listening
