"""OpenDocument (ODT, ODS, ODP and templates): text, sheets and slides.

Order: headers, then the content with footnotes and comments behind the paragraph that refers to them, then footers.
Sheets begin with a line ``Sheet: name``, slides with ``Slide 3: title``. Cells are parted by tabs and hold what the
sheet shows. Deleted and hidden text, hidden sheets and hidden slides are left out.
"""

from __future__ import annotations

import re

from thresher.documents.parsers.opendocument_xml import ContentReader
from thresher.documents.parsers.package import Package
from thresher.documents.parsers.xml_stream import feed_xml
from thresher.errors import UnreadableError

_ENCRYPTED = re.compile(rb"<(?:\w+:)?encryption-data[\s/>]")


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The document's text.

    Raises:
        UnreadableError: a broken, encrypted or bomb-like container, or everything in it is hidden.
    """
    content = ContentReader()
    if not data.startswith(b"PK"):  # one XML file ("flat")
        feed_xml([data], "OpenDocument file", content.start, content.end, content.characters, doctype_allowed=True)
        return _joined(content, content)
    package = Package(data, "OpenDocument file", doctype_allowed=True)
    _refuse_encrypted(package)
    package.feed("content.xml", content.start, content.end, content.characters)
    styles = ContentReader()
    if "styles.xml" in package.members:
        package.feed("styles.xml", styles.start, styles.end, styles.characters)
    return _joined(content, styles)


def _refuse_encrypted(package: Package) -> None:
    manifest = "META-INF/manifest.xml"
    listed = manifest in package.members and _ENCRYPTED.search(package.read(manifest))
    if listed or "encrypted-package" in package.members:
        raise UnreadableError("encrypted OpenDocument file; remove its password and try again")


def _joined(content: ContentReader, styles: ContentReader) -> str:
    if content.body == "office:text":
        parts = [*styles.headers, content.text(), *styles.footers]
    else:  # the headers and footers of sheets are their names and page numbers
        parts = [content.text(), *(f"\n{footer}" for footer in content.footers)]
    text = "\n".join(part for part in dict.fromkeys(parts) if part.strip())
    if not text and content.hidden:
        raise UnreadableError("no text: everything in this OpenDocument file is hidden")
    return text
