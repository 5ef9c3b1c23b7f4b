"""Opening files that may be anything: never a device or a pipe, never through a link that appeared meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from thresher.errors import UnreadableError

AnyPath = str | bytes | os.PathLike[str]

_CHUNK_BYTES = 1024 * 1024
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link"),
)


def special_kind(mode: int) -> str | None:
    """``"a named pipe"`` and the like for what is no regular file, else None."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for test, kind in _KINDS if test(mode)), "no regular file")


def open_regular(path: AnyPath) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        UnreadableError: it is gone, forbidden, or no regular file (a symbolic link counts as none: resolve it before).
    """
    try:
        if not hasattr(os, "O_NOFOLLOW") and os.path.islink(path):  # noqa: PTH114 - may be bytes
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        handle = os.open(path, _flags())
        kind = special_kind(os.fstat(handle).st_mode)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot be opened: {_why(error)}") from error
    if kind:
        os.close(handle)
        raise UnreadableError(f"is {kind}, not a file")
    return os.fdopen(handle, "rb", buffering=0)


def _flags() -> int:
    """Windows has none of the first three and needs the last."""
    names = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
    return os.O_RDONLY | sum(getattr(os, name, 0) for name in names)


def read_bytes(path: AnyPath, limit_bytes: int) -> bytes:
    """The whole of a regular file.

    Raises:
        UnreadableError: as :func:`open_regular`; larger than ``limit_bytes``; or the disk fails.
    """
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > limit_bytes else _read_all(file, size, limit_bytes)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {_why(error)}") from error
    if max(size, len(data)) > limit_bytes:
        raise UnreadableError(f"{size:,} bytes are over the limit of {limit_bytes:,} bytes for one file")
    return data


def hash_file(path: AnyPath) -> str:
    """SHA-256 of a file's bytes, in hex, read as a stream.

    Raises:
        UnreadableError: as :func:`open_regular`, or the disk fails.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        except OSError as error:
            raise UnreadableError(f"cannot be read: {_why(error)}") from error
    return digest.hexdigest()


def hash_text(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hex: the ``content_sha256`` of a table row."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def printable(path: AnyPath) -> str:
    r"""The path as text that can be stored: bytes that are not UTF-8 are written ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def absolute(path: Path) -> str:
    """The path from the root, links unresolved, as storable text: the ``source`` of a document."""
    return printable(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps ".."


def _read_all(file: BinaryIO, size: int, limit_bytes: int) -> bytes:
    """Usually one read and one that finds the end; a file that grows meanwhile is read up to the limit."""
    chunks: list[bytes] = []
    total = 0
    while total <= limit_bytes and (chunk := file.read(max(size + 1 - total, _CHUNK_BYTES // 16))):
        chunks.append(chunk)
        total += len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
