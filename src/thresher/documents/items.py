"""What discovery finds: one item per document, before anything was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thresher.types import ChatRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One document to be: a file or an attachment in it (``path`` is set), or a row of a table (``path`` is None).

    A row has its ``text``, normalised. An item with a ``problem`` is never opened: it ends as ``unreadable`` with
    that reason.
    """

    document_id: str
    source: str  # absolute path, with "#row" for tables and "#attachment N" for attachments
    path: Path | None  # to open; links in it are resolved
    address: tuple[int, ...] = ()  # of an attachment in the mail at ``path``
    text: str | None = None
    golds: Mapping[str, str] = field(default_factory=dict)  # question -> its gold label, as written in the table
    size_bytes: int  # of the file; of an attachment about; for a row of its text in UTF-8
    mtime_ns: int  # of the file that it is in
    problem: str | None = None
    request: ChatRequest | None = None  # of a batch file's line, whose ``text`` is the message to be answered
