"""Where a job lives on disk: its folder, its lock, and connections to its file."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import filelock
import psutil

from thresher.errors import DiskFullError, JobError, JobLockedError
from thresher.jobs.schema import MIGRATIONS, migrate

DATABASE_NAME = "job.sqlite"
LOCK_NAME = "writer.lock"
#: File systems on which SQLite's locks or its write-ahead log cannot be trusted.
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ncpfs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs", "davfs", "fuse.davfs2"}
)
BUSY_TIMEOUT_S = 30.0


def prepare_folder(folder: Path) -> None:
    """Make the job's folder (0700) and its file (0600).

    Raises:
        JobError: the folder cannot be made or written, or lies on a network file system.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kind = file_system_of(folder)
        if kind in NETWORK_FILE_SYSTEMS:
            raise JobError(
                f"the job folder {folder} is on a network file system ({kind}), where a crash can damage it; "
                "choose a folder on a local disk with --job"
            )
        os.close(os.open(folder / DATABASE_NAME, os.O_CREAT | os.O_RDWR, 0o600))
    except FileExistsError as error:
        raise JobError(f"the job folder {folder} is a file; choose another --job") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(folder) from error
        raise JobError(
            f"the job folder {folder} cannot be written: {error.strerror}; choose another folder with --job"
        ) from error


def file_system_of(folder: Path) -> str:
    """The kind of file system that ``folder`` is on, in lower case; ``""`` if unknown."""
    path = str(folder.resolve())
    best = ("", "")
    for partition in psutil.disk_partitions(all=True):
        mount = partition.mountpoint.rstrip(os.sep) or os.sep
        inside = mount == os.sep or path == mount or path.startswith(mount + os.sep)
        if inside and len(mount) >= len(best[0]):
            best = (mount, partition.fstype.lower())
    return best[1]


def existing_database(folder: Path) -> Path:
    """The job's file. Raises ``JobError`` when there is none."""
    database = folder / DATABASE_NAME
    if not database.is_file():
        raise JobError(f"{folder} holds no job (no {DATABASE_NAME} in it); give the folder that classify printed")
    return database


def connect(folder: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the job's file; the connection may be used from any one thread at a time.

    Raises:
        JobError: not a job file, or it cannot be opened.
    """
    database = folder / DATABASE_NAME
    with translated_errors(folder):
        if read_only:
            _bring_up_to_date(folder)
            uri = f"{database.resolve().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        else:
            connection = sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            connection.isolation_level = None  # transactions are begun and ended by hand
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                migrate(connection)
            else:
                connection.execute("SELECT 1 FROM runs LIMIT 1")
        except BaseException:
            connection.close()
            raise
        return connection


def _bring_up_to_date(folder: Path) -> None:
    """Give an older job its new tables and columns, for readers ask for them."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE_NAME, timeout=BUSY_TIMEOUT_S)) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
    if begun and version < len(MIGRATIONS):
        connect(folder).close()


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the job for writing; the system frees the lock when the process ends, however it ends.

    Raises:
        JobLockedError: another process holds it.
    """
    lock = filelock.FileLock(folder / LOCK_NAME, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise JobLockedError(
            f"another thresher is writing to the job {folder}; wait for it, stop it, or choose another --job"
        ) from error
    except OSError as error:
        raise JobError(f"the job folder {folder} cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def translated_errors(folder: Path, name: str = DATABASE_NAME) -> Iterator[None]:
    """Turn SQLite's errors about the file ``name`` of a job into ours, told apart by their codes."""
    try:
        yield
    except sqlite3.Error as error:
        # the low byte is the primary code: https://sqlite.org/rescode.html
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise disk_full(folder) from error
        if code == sqlite3.SQLITE_NOTADB:
            raise JobError(f"{folder / name} is not a job file; choose another --job") from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise JobError(
                f"the job in {folder} cannot be opened or written ({error}); choose another --job"
            ) from error
        raise JobError(f"the job in {folder} cannot be used: {error}") from error


def disk_full(folder: Path) -> DiskFullError:
    """The error for a full disk; what was committed before it is safe."""
    return DiskFullError(
        f"no space is left on the disk of {folder}; everything committed so far is safe: free some space and run the "
        "same command again to go on"
    )
