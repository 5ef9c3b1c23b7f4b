"""From inputs to texts: discovery of documents, and parsing them in worker processes. Knows no labels."""

from thresher.documents.files import hash_file, hash_text
from thresher.documents.items import Item
from thresher.documents.parsers import FORMATS, PARSER_VERSION, Format, describe_formats
from thresher.documents.reading.pool import ReaderPool, ReadResult
from thresher.documents.sources import discover

__all__ = [
    "FORMATS",
    "PARSER_VERSION",
    "Format",
    "Item",
    "ReadResult",
    "ReaderPool",
    "describe_formats",
    "discover",
    "hash_file",
    "hash_text",
]
