"""One file as an item."""

from __future__ import annotations

import os
from pathlib import Path

from thresher.documents.files import absolute, special_kind
from thresher.documents.items import Item


def file_item(path: Path, document_id: str) -> Item:
    """The item of a file that the user named: links are followed, whatever is no regular file is a problem."""
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:
        return problem_item(path, document_id, f"cannot be opened: {getattr(error, 'strerror', None) or error}")
    kind = special_kind(status.st_mode)
    return Item(
        document_id=document_id,
        source=absolute(path),
        path=real,
        size_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        problem=f"is {kind}, not a file" if kind else None,
    )


def problem_item(path: Path, document_id: str, problem: str, status: os.stat_result | None = None) -> Item:
    """An item that is not to be opened."""
    return Item(
        document_id=document_id,
        source=absolute(path),
        path=path,
        size_bytes=status.st_size if status else 0,
        mtime_ns=status.st_mtime_ns if status else 0,
        problem=problem,
    )
