"""DOCX: the text of a Word document, read from its XML as a stream.

Order: headers, then the body with each footnote, endnote and comment behind the paragraph that refers to it, then
footers. Table cells are parted by tabs, rows by lines, list items marked. Deleted and hidden text is left out.
"""

from __future__ import annotations

import posixpath
import zipfile
from io import BytesIO
from xml.parsers import expat

from thresher.documents.parsers.docx_xml import Notes, PartReader, parse_part
from thresher.errors import UnreadableError

#: No part that is read may unpack to more.
MAX_PART_BYTES = 256 * 1024 * 1024
_RELATIONSHIP = "/relationships/"
_NOTE_KINDS = ("footnotes", "endnotes", "comments")


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The document's text.

    Raises:
        UnreadableError: a broken or bomb-like container, a document type declaration (Word writes none), or
            encrypted content.
    """
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            return _read(archive)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # zipfile raises a dozen kinds on hostile archives
        raise UnreadableError(f"broken DOCX: {error}") from error


def _read(archive: zipfile.ZipFile) -> str:
    main = next((target for kind, target in _relations(archive, "") if kind == "officeDocument"), "word/document.xml")
    relations = _relations(archive, main)
    notes: Notes = {}
    for kind, target in relations:
        if kind in _NOTE_KINDS:
            notes |= _part(archive, target).notes
    headers = [_part(archive, target).text() for kind, target in relations if kind == "header"]
    footers = [_part(archive, target).text() for kind, target in relations if kind == "footer"]
    body = _part(archive, main, notes).text()
    parts = [*dict.fromkeys(headers), body, *dict.fromkeys(footers)]
    return "\n".join(part for part in parts if part.strip())


def _relations(archive: zipfile.ZipFile, part: str) -> list[tuple[str, str]]:
    """(kind, name of the target part) for each internal relation of ``part`` that leads somewhere."""
    folder, file = posixpath.split(part)
    path = posixpath.join(folder, "_rels", f"{file}.rels")
    members = set(archive.namelist())
    if path not in members:
        return []
    found: list[tuple[str, str]] = []

    def start(_tag: str, attributes: dict[str, str]) -> None:
        kind, target = attributes.get("Type", ""), attributes.get("Target", "")
        if _RELATIONSHIP in kind and attributes.get("TargetMode") != "External":
            resolved = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
            resolved = posixpath.normpath(resolved)
            if resolved in members:
                found.append((kind.rpartition("/")[2], resolved))

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    _feed(archive, path, parser)
    return found


def _part(archive: zipfile.ZipFile, path: str, notes: Notes | None = None) -> PartReader:
    reader = PartReader(notes or {})
    _feed(archive, path, parse_part(reader))
    return reader


def _feed(archive: zipfile.ZipFile, path: str, parser: expat.XMLParserType) -> None:
    """Stream one part through the parser, counting what it really unpacks to."""

    def refuse(*_declaration: object) -> None:
        raise UnreadableError(f"DOCX with a document type declaration in {path}: refused")

    parser.StartDoctypeDeclHandler = refuse
    info = archive.getinfo(path)
    if info.flag_bits & 1:
        raise UnreadableError("encrypted DOCX; remove its password and try again")
    left = MAX_PART_BYTES
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(64 * 1024):
                left -= len(chunk)
                if left < 0 or info.file_size > MAX_PART_BYTES:
                    limit = MAX_PART_BYTES // 1024**2
                    raise UnreadableError(f"{path} unpacks to more than {limit} MiB (a zip bomb?)")
                parser.Parse(chunk)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(f"broken DOCX: {path}: {error}") from error
