"""A job's file as its one writer has it open."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thresher.closing import Closing
from thresher.jobs.location import connect, prepare_folder, translated_errors, writer_lock


class Database(Closing):
    """The file, and the job's lock with it; safe to use from several threads, which take turns."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, resources: contextlib.ExitStack) -> None:
        self.folder = folder
        self._connection = connection
        self._resources = resources
        self._mutex = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Database:
        """Open or make the file in ``folder``.

        Raises:
            JobLockedError: another process writes to it.
            JobError: the folder cannot be used; the message says why.
        """
        prepare_folder(folder)
        with contextlib.ExitStack() as stack:
            stack.enter_context(writer_lock(folder))
            connection = connect(folder)
            stack.callback(connection.close)
            return cls(folder, connection, stack.pop_all())

    def close(self) -> None:
        """Close the file and free the lock; may be called twice."""
        self._resources.close()

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows that a query finds. Raises ``JobError``."""
        with self._mutex, translated_errors(self.folder):
            return self._connection.execute(sql, parameters).fetchall()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A block whose statements are on the disk at its end, or none of them. Raises ``JobError``."""
        with self._mutex, translated_errors(self.folder), transaction(self._connection):
            yield self._connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A block whose statements are all done at its end, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        raise
