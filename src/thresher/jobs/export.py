"""The rows of a job's latest run, written to a file in one step or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from thresher.errors import UsageError
from thresher.jobs.exporters import COLUMNS, ExportSource, exporter_for, format_of
from thresher.jobs.location import disk_full
from thresher.jobs.view import JobView


def check_target(file: Path, *, overwrite: bool, format_name: str | None = None) -> None:
    """Find out before the work whether ``file``, and what its format writes beside it, can be written.

    Raises:
        UsageError: it exists and may not be replaced, its folder is missing, or its format is unknown.
    """
    beside = format_of(file.suffix, format_name).beside
    for target in (file, *(file.with_suffix(suffix) for suffix in beside)):
        if target.exists() and not overwrite:
            raise _exists(target)
    if not file.absolute().parent.is_dir():
        raise UsageError(f"the folder {file.absolute().parent} does not exist; make it first")


def export(view: JobView, file: Path, *, overwrite: bool = False, format_name: str | None = None) -> int:
    """Write every finished row of ``view`` to ``file``; returns the number of entries: rows, or documents.

    The file appears complete or not at all. The format is ``format_name``, else that of the file's suffix.

    Raises:
        UsageError: see :func:`check_target`; or the rows cannot be given in this format.
        DiskFullError: the disk is full; ``file`` is as it was.
    """
    check_target(file, overwrite=overwrite, format_name=format_name)
    has_gold = any(row.gold is not None for row in view.rows())
    columns = (*COLUMNS, *(["gold"] if has_gold else []), *(["calibrated_probability"] if view.calibrations else []))
    source = ExportSource(rows=view.rows(), columns=columns, run=view.run, text_of=view.text)
    with new_file(file, overwrite=overwrite) as temporary:
        written = exporter_for(file.suffix, format_name).write(source, temporary)
        for suffix, text in written.beside.items():
            with new_file(file.with_suffix(suffix), overwrite=overwrite) as companion:
                companion.write_text(text, encoding="utf-8", errors="replace")
    return written.entries


@contextlib.contextmanager
def new_file(file: Path, *, overwrite: bool) -> Iterator[Path]:
    """A file to write, which becomes ``file`` at the end of the block, or goes if the block fails."""
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
