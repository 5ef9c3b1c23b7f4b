"""From inputs to texts: discovery of documents, and parsing them in worker processes. Knows no labels.

    items.py files.py   what discovery finds; opening files that may be anything
    sources/            files, folders, globs and tables -> items
    parsers/            one module per family of formats: bytes -> text
    reading/            the pool of worker processes, and the worker

The names below are imported when they are first used: a worker needs few of them and starts faster so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thresher.documents.files import hash_file, hash_text
    from thresher.documents.items import Item
    from thresher.documents.parsers import FORMATS, PARSER_VERSION, Format, describe_formats
    from thresher.documents.reading.pool import ReaderPool, ReadResult
    from thresher.documents.sources import discover
    from thresher.documents.sources.batch import batch_files, batch_items

__all__ = [
    "FORMATS",
    "PARSER_VERSION",
    "Format",
    "Item",
    "ReadResult",
    "ReaderPool",
    "batch_files",
    "batch_items",
    "describe_formats",
    "discover",
    "hash_file",
    "hash_text",
]

_PLACES = {
    "FORMATS": "parsers",
    "Format": "parsers",
    "Item": "items",
    "PARSER_VERSION": "parsers",
    "ReadResult": "reading.pool",
    "ReaderPool": "reading.pool",
    "batch_files": "sources.batch",
    "batch_items": "sources.batch",
    "describe_formats": "parsers",
    "discover": "sources",
    "hash_file": "files",
    "hash_text": "files",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
