"""DOCX: the text of a Word document, read from its XML as a stream.

Order: headers, then the body with each footnote, endnote and comment behind the paragraph that refers to it, then
footers. Table cells are parted by tabs, rows by lines, list items marked. Deleted and hidden text is left out.
"""

from __future__ import annotations

from thresher.documents.parsers.docx_xml import Notes, PartReader
from thresher.documents.parsers.package import Package

_NOTE_KINDS = ("footnotes", "endnotes", "comments")


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The document's text.

    Raises:
        UnreadableError: a broken or bomb-like container, a document type declaration (Word writes none), or
            encrypted content.
    """
    package = Package(data, "DOCX")
    main = package.main_part("word/document.xml")
    relations = package.relations(main)
    notes: Notes = {}
    for link in relations:
        if link.kind in _NOTE_KINDS:
            notes |= _part(package, link.target).notes
    headers = [_part(package, link.target).text() for link in relations if link.kind == "header"]
    footers = [_part(package, link.target).text() for link in relations if link.kind == "footer"]
    body = _part(package, main, notes).text()
    parts = [*dict.fromkeys(headers), body, *dict.fromkeys(footers)]
    return "\n".join(part for part in parts if part.strip())


def _part(package: Package, path: str, notes: Notes | None = None) -> PartReader:
    reader = PartReader(notes or {})
    package.feed(path, reader.start, reader.end, reader.characters)
    return reader
