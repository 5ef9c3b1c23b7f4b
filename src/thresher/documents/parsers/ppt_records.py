"""The records of a PowerPoint 97 to 2003 document ([MS-PPT] 2.3): a tree, and where the last save put its branches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thresher.documents.parsers.ole import unpack
from thresher.errors import UnreadableError

_HEADER_BYTES = 8
_USER_EDIT, _PERSIST_DIRECTORY = 4085, 6002
_ENCRYPTED_EDIT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Record:
    """A record's header; its content is the bytes from ``start`` to ``end`` (exclusive)."""

    kind: int
    instance: int
    is_container: bool
    start: int
    end: int
    parent: int = 0  # kind of the record around it


def record_at(data: bytes, offset: int, parent: int = 0) -> Record:
    """The record that begins at ``offset``.

    Raises:
        UnreadableError: it does not end within the data.
    """
    bits, kind, length = unpack("<HHI", data, offset)
    start = offset + _HEADER_BYTES
    if start + length > len(data):
        raise UnreadableError("broken PPT: a record is not complete (a cut file?)")
    return Record(kind, bits >> 4, bits & 15 == 15, start, start + length, parent)


def records(data: bytes, container: Record) -> Iterator[Record]:
    """The records in a container."""
    offset = container.start
    while offset + _HEADER_BYTES <= container.end:
        record = record_at(data, offset, container.kind)
        yield record
        offset = record.end


def descend(data: bytes, container: Record) -> Iterator[Record]:
    """All records below a container, in their order; depth costs no stack."""
    ahead = [records(data, container)]
    while ahead:
        record = next(ahead[-1], None)
        if record is None:
            ahead.pop()
            continue
        yield record
        if record.is_container:
            ahead.append(records(data, record))


def persist_directory(data: bytes, edit: int) -> tuple[int, dict[int, int]]:
    """Where the document's own record is, and of all that are saved apart: number -> offset; the last save counts.

    Args:
        data: the stream.
        edit: the offset of the last edit's record.

    Raises:
        UnreadableError: broken, or encrypted.
    """
    offsets: dict[int, int] = {}
    document = None
    seen: set[int] = set()
    while edit and edit not in seen:
        seen.add(edit)
        record = record_at(data, edit)
        if record.kind != _USER_EDIT:
            raise UnreadableError("broken PPT: the record of its last edit is missing")
        if record.end - record.start >= _ENCRYPTED_EDIT_BYTES:
            raise UnreadableError("encrypted PPT; remove its password and try again")
        _, _, edit, directory, number = unpack("<5I", data, record.start)
        document = number if document is None else document
        _add_directory(offsets, data, record_at(data, directory))
    if document not in offsets:
        raise UnreadableError("broken PPT: there is no document in it")
    return offsets[document], offsets


def _add_directory(offsets: dict[int, int], data: bytes, record: Record) -> None:
    if record.kind != _PERSIST_DIRECTORY:
        raise UnreadableError("broken PPT: its directory is missing")
    offset = record.start
    while offset + 4 <= record.end:
        (head,) = unpack("<I", data, offset)
        first, count = head & 0xFFFFF, head >> 20
        for number, place in enumerate(unpack(f"<{count}I", data, offset + 4), first):
            offsets.setdefault(number, place)
        offset += 4 + 4 * count
