"""From inputs to texts: discovery of documents, and parsing them in worker processes. Knows no labels.

    items.py files.py   what discovery finds; opening files that may be anything
    sources/            files, folders, globs and tables -> items
    parsers/            one module per family of formats: bytes -> text
    reading/            the pool of worker processes, and the worker
    attachments.py      mails -> items for their attachments, listed by the pool

The names below are imported when they are first used: a worker needs few of them and starts faster so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher.documents.attachments import with_attachments
    from thresher.documents.files import hash_file, hash_text
    from thresher.documents.items import Item
    from thresher.documents.parsers import FORMATS, PARSER_VERSION, Format, describe_formats, parser_version
    from thresher.documents.parsers.ocr import check_ocr
    from thresher.documents.reading.pool import ReaderPool
    from thresher.documents.reading.results import ReadResult
    from thresher.documents.sources import Frame, cell_text, discover, is_frame, open_frame, open_table
    from thresher.documents.sources.batch import batch_files, batch_items

__all__ = [
    "FORMATS",
    "PARSER_VERSION",
    "Format",
    "Frame",
    "Item",
    "ReadResult",
    "ReaderPool",
    "batch_files",
    "batch_items",
    "cell_text",
    "check_ocr",
    "describe_formats",
    "discover",
    "hash_file",
    "hash_text",
    "is_frame",
    "open_frame",
    "open_table",
    "parser_version",
    "with_attachments",
]

_PLACES = {
    "FORMATS": "parsers",
    "Format": "parsers",
    "Frame": "sources",
    "Item": "items",
    "PARSER_VERSION": "parsers",
    "ReadResult": "reading.results",
    "ReaderPool": "reading.pool",
    "batch_files": "sources.batch",
    "batch_items": "sources.batch",
    "cell_text": "sources",
    "check_ocr": "parsers.ocr",
    "describe_formats": "parsers",
    "discover": "sources",
    "hash_file": "files",
    "hash_text": "files",
    "is_frame": "sources",
    "open_frame": "sources",
    "open_table": "sources",
    "parser_version": "parsers",
    "with_attachments": "attachments",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
