"""Small valid documents of every readable format, made by hand so that tests can also break them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

WORD_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def paragraph(text: str, properties: str = "") -> str:
    """A Word paragraph of one run."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>"


def word_part(root: str, content: str, head: str = "") -> str:
    """A part of a Word document: ``root`` is its outermost element."""
    return f"<?xml version='1.0' encoding='UTF-8'?>{head}<w:{root} xmlns:w='{WORD_NAMESPACE}'>{content}</w:{root}>"


def docx(body: str, parts: Mapping[str, str] | None = None, head: str = "") -> bytes:
    """A DOCX whose body is the given XML; ``parts`` are further ones: kind -> XML ("footnotes", "header", ...)."""
    others = dict(parts or {})
    links = "".join(
        f"<Relationship Id='r{n}' Type='{_OFFICE}/{kind.rstrip('0123456789')}' Target='{kind}.xml'/>"
        for n, kind in enumerate(others)
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        main = f"<Relationship Id='r1' Type='{_OFFICE}/officeDocument' Target='word/document.xml'/>"
        archive.writestr("_rels/.rels", f"<Relationships xmlns='{_PACKAGE}'>{main}</Relationships>")
        archive.writestr("word/document.xml", word_part("document", f"<w:body>{body}</w:body>", head))
        archive.writestr("word/_rels/document.xml.rels", f"<Relationships xmlns='{_PACKAGE}'>{links}</Relationships>")
        for kind, xml in others.items():
            archive.writestr(f"word/{kind}.xml", xml)
    return buffer.getvalue()


def pdf(pages: Sequence[str], *, encrypted: bool = False, to_unicode: bytes = b"") -> bytes:
    """A PDF with a line of Helvetica on each page. Encrypted: asks for a password that nobody knows."""
    streams = [b"BT /F1 24 Tf 72 700 Td (" + page.encode("cp1252") + b") Tj ET" if page else b"" for page in pages]
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages)))
    mapping = b"/ToUnicode %d 0 R" % (4 + 2 * len(pages)) if to_unicode else b""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding%s>>" % mapping,
    ]
    for n, stream in enumerate(streams):
        resources = b"/Resources<</Font<</F1 3 0 R>>>>/MediaBox[0 0 612 792]"
        objects.append(b"<</Type/Page/Parent 2 0 R%s/Contents %d 0 R>>" % (resources, 5 + 2 * n))
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    if to_unicode:
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(to_unicode), to_unicode))
    key = b"<" + b"5a" * 32 + b">"
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/O %s/U %s/P -44>>/ID[%s%s]" % (key, key, key, key)
    return _assemble_pdf(objects, lock if encrypted else b"")


def bitmap_pdf(pages: int) -> bytes:
    """A scan: pages that are one picture each, without a text layer."""
    kids = b" ".join(b"%d 0 R" % (3 + 2 * n) for n in range(pages))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids)]
    picture = b"q 612 0 0 792 0 0 cm BI /W 64 /H 64 /CS /G /BPC 1 ID " + b"\xaa\x55" * 256 + b" EI Q"
    for n in range(pages):
        objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R>>" % (4 + 2 * n))
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(picture), picture))
    return _assemble_pdf(objects, b"")


def _assemble_pdf(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def html(body: str, head: str = "") -> bytes:
    """An HTML page in UTF-8."""
    return f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>".encode()
