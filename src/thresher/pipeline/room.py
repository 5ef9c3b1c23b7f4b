"""Before a run starts: is there disk and are there file handles enough for what it is about to do?

Both are estimated from below, so that a run is refused only where it could hardly end well; what is refused here would
otherwise end hours later in the middle (with nothing lost: commits are whole).
"""

from __future__ import annotations

import os
import shutil

import psutil

from thresher.errors import DiskFullError, FileHandlesError
from thresher.jobs import JobStore

#: The write-ahead log and the tables' first pages.
_JOB_BYTES = 2 * 1024**2
#: One question's result with few labels; the listing is on the disk already.
_RESULT_BYTES = 150
#: zlib keeps 0.35 to 0.45 of prose, and logs and duplicates shrink further.
_STORED_SHARE_OF_TEXT = 0.2
#: A worker holds the ends of two pipes; while it starts, also their other ends, a pipe for its errors and a file.
_HANDLES_OF_A_READER = 8
#: The job's connections (database, log and index each), its lock, a folder being listed, and some for libraries.
_HANDLES_OF_A_RUN = 24


def reader_count() -> int:
    """Worker processes that parse documents."""
    return max(1, min(8, os.cpu_count() or 1))


def check_room(store: JobStore, questions: int, *, store_text: bool) -> None:
    """Raise where the listed documents that are left will not fit.

    Raises:
        DiskFullError: the disk of the job is too small; says how much is needed.
        FileHandlesError: the limit of open files is too low; says what to set.
    """
    left = store.left_to_do()
    if not left.documents:
        return
    _check_disk(store, left.documents * questions * _RESULT_BYTES, left.text_bytes if store_text else 0)
    _check_handles()


def _check_disk(store: JobStore, row_bytes: int, text_bytes: int) -> None:
    needed = _JOB_BYTES + row_bytes + int(_STORED_SHARE_OF_TEXT * text_bytes)
    free = shutil.disk_usage(store.folder).free
    if free < needed:
        without = ", or do not keep the texts (--no-store-text)" if text_bytes else ""
        raise DiskFullError(
            f"the job in {store.folder} will need about {_mib(needed)} and {_mib(free)} are free there; free some "
            f"space, choose a --job on a larger disk{without}"
        )


def _check_handles() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = psutil.Process().num_fds() + _HANDLES_OF_A_RUN + reader_count() * _HANDLES_OF_A_READER
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise FileHandlesError(
            f"this run needs about {needed} open files and the limit is {limit}; raise it with: "
            f"ulimit -n {max(1024, needed)}"
        )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:,.1f} MiB"
