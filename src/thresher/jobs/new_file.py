"""A file that appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from thresher.errors import UsageError
from thresher.jobs.location import disk_full


def check_new_file(file: Path, *, overwrite: bool) -> None:
    """Find out before the work whether ``file`` may be written. Raises ``UsageError``."""
    if file.exists() and not overwrite:
        raise _exists(file)
    if not file.absolute().parent.is_dir():
        raise UsageError(f"the folder {file.absolute().parent} does not exist; make it first")


@contextlib.contextmanager
def new_file(file: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file to write, which becomes ``file`` at the end of the block, or goes if the block fails.

    Raises:
        UsageError: ``file`` exists and may not be replaced, or cannot be written.
        DiskFullError: the disk is full; ``file`` is as it was.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _give_usual_permissions(temporary)
        _move(temporary, file, overwrite=overwrite)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(file.absolute().parent) from error
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _give_usual_permissions(file: Path) -> None:
    mask = os.umask(0)  # the only way to read the mask is to set it
    os.umask(mask)
    file.chmod(0o666 & ~mask)


def _move(temporary: Path, file: Path, *, overwrite: bool) -> None:
    with temporary.open("r+b") as stream:  # Windows flushes only what may be written
        os.fsync(stream.fileno())
    if overwrite:
        temporary.replace(file)
        return
    try:
        _put_new(temporary, file)
    except FileExistsError as error:
        raise _exists(file) from error


def _put_new(temporary: Path, file: Path) -> None:
    """Raise ``FileExistsError`` where the file has come into being meanwhile."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        file.open("xb").close()
        temporary.replace(file)


def _exists(file: Path) -> UsageError:
    return UsageError(f"{file} exists already; add --overwrite to replace it, or choose another name")
