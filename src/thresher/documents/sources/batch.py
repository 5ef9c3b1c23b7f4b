"""Batch files named as INPUT: each line of the JSONL is a request that brings its own prompt and replies.

What a request means is not known here: whoever asks for the items gives the function that reads one.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thresher.documents.files import absolute, printable
from thresher.documents.items import Item
from thresher.documents.sources.rows import Row, jsonl_rows
from thresher.errors import InputError, UnreadableError
from thresher.types import ChatRequest

_SUFFIX = ".jsonl"
#: Lines that are looked at to tell a batch file from a table.
_SAMPLE_ROWS = 20

ReadRequest = Callable[[Mapping[str, Any]], ChatRequest]


def batch_files(inputs: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The batch files among ``inputs``; a ``.jsonl`` file whose first lines have ``custom_id`` and ``body`` is one.

    Raises:
        InputError: there are other inputs beside them, a file is named twice, or it cannot be read.
    """
    named = [path for given in inputs for path in _named(os.fspath(given))]
    batches = [path for path in named if path.suffix.lower() == _SUFFIX and path.is_file() and _is_batch(path)]
    if batches and len(batches) < len(named):
        other = next(path for path in named if path not in batches)
        raise InputError(
            f"{batches[0]} is a batch file, which brings its own prompts and labels, and {other} is not; "
            "label them in runs of their own"
        )
    repeated = next((path for place, path in enumerate(batches) if path in batches[:place]), None)
    if repeated is not None:
        raise InputError(f"{repeated} is given twice; name each input once")
    return batches


def batch_items(files: Sequence[Path], read_request: ReadRequest) -> Iterator[Item]:
    """One item per line, lazily; a line that is no request that can be answered is an item with a problem.

    Raises:
        InputError: a file cannot be read.
    """
    for path in files:
        try:
            source, mtime_ns = absolute(path), path.stat().st_mtime_ns
            for row in jsonl_rows(path):
                yield _item(row, path, source, mtime_ns, read_request)
        except OSError as error:
            raise InputError(f"batch file {path} cannot be read: {error.strerror}") from error


def _named(given: str) -> list[Path]:
    if not os.path.lexists(given) and given.lower().endswith(_SUFFIX):
        found = sorted(glob.glob(given, recursive=True))  # noqa: PTH207 - takes absolute patterns too
        return [Path(path) for path in found] or [Path(given)]
    return [Path(given)]


def _is_batch(path: Path) -> bool:
    try:
        rows = itertools.islice(jsonl_rows(path), _SAMPLE_ROWS)
        return any("custom_id" in row.fields and isinstance(row.fields.get("body"), Mapping) for row in rows)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _item(row: Row, path: Path, source: str, mtime_ns: int, read_request: ReadRequest) -> Item:
    custom_id = row.fields.get("custom_id")
    request: ChatRequest | None = None
    problem = row.problem or _id_problem(custom_id)
    if problem is None:
        try:
            request = read_request(row.fields)
        except UnreadableError as error:
            problem = f"the request cannot be answered: {error}"
    named = isinstance(custom_id, str) and _id_problem(custom_id) is None
    return Item(
        document_id=str(custom_id) if named else f"{printable(path.name)}:{row.number}",
        source=f"{source}#{row.number}",
        path=None,
        text=None if request is None else request.text,
        request=request,
        size_bytes=row.size_bytes if request is None else len(request.text.encode()),
        mtime_ns=mtime_ns,
        problem=problem,
    )


def _id_problem(custom_id: object) -> str | None:
    if not isinstance(custom_id, str) or not custom_id:
        return f"its custom_id is {custom_id!r}, not a text"
    try:
        custom_id.encode()
    except UnicodeEncodeError:
        return "its custom_id has a lone surrogate in it, which cannot be stored"
    return None
