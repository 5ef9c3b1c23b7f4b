"""The folder of a benchmark's files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from thresher.errors import UsageError


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make ``folder``; if the block fails, what was made for it and is still empty goes again.

    Raises:
        UsageError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--out {folder} cannot be made: {error.strerror}") from error
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # the first that holds something stays, and those above it
            for place in missing:
                place.rmdir()
        raise
