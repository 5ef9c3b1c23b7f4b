"""Small valid office documents made by hand: sheets, slides, OpenDocument, books, and the binary formats of 1997."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

from tests.support.ole_files import ole_file

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'"
_DRAWING = (
    "xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main'"
    " xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"
)
_OPEN_DOCUMENT = " ".join(
    f"xmlns:{name}='urn:oasis:names:tc:opendocument:xmlns:{name}:1.0'"
    for name in ("office", "text", "table", "style", "presentation")
)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return buffer.getvalue()


def replaced(data: bytes, members: Mapping[str, str | bytes | None]) -> bytes:
    """A zip archive with other contents of some members; None takes a member away."""
    source = zipfile.ZipFile(io.BytesIO(data))
    contents: dict[str, str | bytes | None] = {name: source.read(name) for name in source.namelist()}
    return archive({name: content for name, content in (contents | dict(members)).items() if content is not None})


def content_types(format_: str, parts: Mapping[str, str]) -> str:
    """The list of an Office file's parts: member -> the kind at the end of its media type (other programs want it)."""
    media_type = f"application/vnd.openxmlformats-officedocument.{format_}"
    rows = "".join(
        f"<Override PartName='/{part}' ContentType='{media_type}.{kind}+xml'/>" for part, kind in parts.items()
    )
    defaults = (
        "<Default Extension='rels' ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
        "<Default Extension='xml' ContentType='application/xml'/>"
    )
    return f"<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'>{defaults}{rows}</Types>"


def relations(*links: tuple[str, str]) -> str:
    """A part of relations: (kind, target), with the ids r1, r2, ..."""
    rows = "".join(
        f"<Relationship Id='r{n}' Type='{_OFFICE}/{kind}' Target='{target}'/>"
        for n, (kind, target) in enumerate(links, 1)
    )
    return f"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>{rows}</Relationships>"


def xlsx(
    sheets: Mapping[str, str],
    *,
    strings: Sequence[str] = (),
    styles: str = "",
    states: Mapping[str, str] | None = None,
    workbook: str = "",
    parts: Mapping[str, str] | None = None,
) -> bytes:
    """A workbook: name -> the XML of its rows.

    Args:
        sheets: the sheets in order; sheet ``n`` is ``xl/worksheets/sheet<n>.xml``.
        strings: shared strings.
        styles: the inside of styles.xml.
        states: sheet name -> ``hidden`` and the like.
        workbook: XML to stand before the list of sheets.
        parts: further members.
    """
    listed = "".join(
        f"<sheet name='{name}' sheetId='{n}' r:id='r{n}' state='{(states or {}).get(name, 'visible')}'/>"
        for n, name in enumerate(sheets, 1)
    )
    links = [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
    kinds = {"xl/workbook.xml": "sheet.main", "xl/sharedStrings.xml": "sharedStrings", "xl/styles.xml": "styles"}
    kinds |= {f"xl/worksheets/sheet{n}.xml": "worksheet" for n in range(1, len(sheets) + 1)}
    members = {
        "[Content_Types].xml": content_types("spreadsheetml", kinds),
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f"<workbook {_SHEET} xmlns:r='{_OFFICE}'>{workbook}<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            *links, ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")
        ),
        "xl/sharedStrings.xml": f"<sst {_SHEET}>{''.join(f'<si><t>{text}</t></si>' for text in strings)}</sst>",
        "xl/styles.xml": f"<styleSheet {_SHEET}>{styles}</styleSheet>",
    }
    for n, rows in enumerate(sheets.values(), 1):
        members[f"xl/worksheets/sheet{n}.xml"] = f"<worksheet {_SHEET}><sheetData>{rows}</sheetData></worksheet>"
    return archive(members | dict(parts or {}))


def inline(reference: str, text: str) -> str:
    """A cell with its own text."""
    return f"<c r='{reference}' t='inlineStr'><is><t>{text}</t></is></c>"


def shape(text: str, placeholder: str = "") -> str:
    """A shape of a slide with a paragraph per line."""
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    kind = f"<p:ph type='{placeholder}'/>" if placeholder else ""
    head = f"<p:nvSpPr><p:cNvPr id='2' name='shape'/><p:cNvSpPr/><p:nvPr>{kind}</p:nvPr></p:nvSpPr>"
    outline = "<p:spPr><a:prstGeom prst='rect'/></p:spPr>"
    return f"<p:sp>{head}{outline}<p:txBody><a:bodyPr/>{lines}</p:txBody></p:sp>"


def slide_part(shapes: str, root: str = "sld", attributes: str = "") -> str:
    """A slide, or its notes (``notes``)."""
    return f"<p:{root} {_DRAWING} {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{root}>"


def pptx(slides: Sequence[str], parts: Mapping[str, str] | None = None) -> bytes:
    """A presentation of the given slide parts; slide ``n`` is ``ppt/slides/slide<n>.xml``."""
    ids = "".join(f"<p:sldId id='{255 + n}' r:id='r{n}'/>" for n in range(1, len(slides) + 1))
    presentation = f"<p:presentation {_DRAWING} xmlns:r='{_OFFICE}'><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    kinds = {"ppt/presentation.xml": "presentation.main"}
    kinds |= {f"ppt/slides/slide{n}.xml": "slide" for n in range(1, len(slides) + 1)}
    members = {
        "[Content_Types].xml": content_types("presentationml", kinds),
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": presentation,
        "ppt/_rels/presentation.xml.rels": relations(
            *(("slide", f"slides/slide{n + 1}.xml") for n in range(len(slides)))
        ),
    }
    members |= {f"ppt/slides/slide{n}.xml": slide for n, slide in enumerate(slides, 1)}
    return archive(members | dict(parts or {}))


def open_document(kind: str, body: str, *, styles: str = "", head: str = "") -> bytes:
    """An OpenDocument file; ``kind`` is text, spreadsheet or presentation, ``head`` stands before the root element."""
    content = (
        f"<?xml version='1.0'?>{head}<office:document-content {_OPEN_DOCUMENT} xmlns:draw="
        f"'urn:oasis:names:tc:opendocument:xmlns:drawing:1.0'><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return archive({"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": "<manifest/>"})


def epub(chapters: Mapping[str, str], *, parts: Mapping[str, str] | None = None) -> bytes:
    """A book: file name -> the body of the chapter."""
    items = "".join(
        f"<item id='i{n}' href='{name}' media-type='application/xhtml+xml'/>" for n, name in enumerate(chapters)
    )
    spine = "".join(f"<itemref idref='i{n}'/>" for n in range(len(chapters)))
    rootfile = "<rootfile full-path='OEBPS/book.opf' media-type='application/oebps-package+xml'/>"
    container = f"<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'>{rootfile}</container>"
    title = "<dc:title xmlns:dc='http://purl.org/dc/elements/1.1/'>A book</dc:title>"
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": container,
        "OEBPS/book.opf": (
            f"<package xmlns='http://www.idpf.org/2007/opf'><metadata>{title}</metadata><manifest>{items}</manifest>"
            f"<spine>{spine}</spine></package>"
        ),
    }
    for name, body in chapters.items():
        members[f"OEBPS/{name}"] = (
            "<?xml version='1.0'?><!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head>"
            f"<body>{body}</body></html>"
        )
    return archive(members | dict(parts or {}))


def word_97(text: str, *, flags: int = 0, version: int = 0xC1, last_cp: int | None = None) -> bytes:
    """A Word document of plain text, in one piece, without properties."""
    encoded = text.encode("utf-16-le")
    start = 2048
    head = bytearray(start)
    struct.pack_into("<HH6xH", head, 0, 0xA5EC, version, flags)
    struct.pack_into("<i", head, 76, len(encoded) // 2)
    pieces = struct.pack("<II2xIH", 0, len(encoded) // 2 if last_cp is None else last_cp, start, 0)
    table = b"\2" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", head, 154 + 8 * 33, 0, len(table))
    return ole_file({"WordDocument": bytes(head) + encoded, "0Table": table})


def record(kind: int, content: bytes, *, instance: int = 0, container: bool = False) -> bytes:
    """A record of a binary presentation."""
    return struct.pack("<HHI", instance << 4 | (15 if container else 0), kind, len(content)) + content


def powerpoint_97(slide: bytes, outline: bytes = b"", *, token: int = 0xE391C05F, edits: bytes = b"") -> bytes:
    """A presentation of one slide: the records in it, and those of its outline."""
    persist = record(1011, struct.pack("<5I", 2, 0, 0, 256, 0))
    document = record(1000, record(4080, persist + outline, container=True), container=True)
    slides = record(1006, slide, container=True)
    directory_at = len(document) + len(slides)
    directory = record(6002, struct.pack("<III", 1 | 2 << 20, 0, len(document)))
    edit = record(4085, struct.pack("<7I", 256, 0, 0, directory_at, 1, 3, 0) + edits)
    stream = document + slides + directory + edit
    user = record(4086, struct.pack("<III", 20, token, directory_at + len(directory)))
    return ole_file({"Current User": user, "PowerPoint Document": stream})


def slide_text(text: str, kind: int = 4) -> bytes:
    """A text of a binary slide; kind 0 is a title."""
    return record(3999, struct.pack("<I", kind)) + record(4000, text.encode("utf-16-le"))


def excel_97(cells: Sequence[tuple[int, int, str]], *, before: bytes = b"") -> bytes:
    """A workbook with one sheet of (row, column, text); ``before`` are records to stand first."""

    def part(kind: int, content: bytes) -> bytes:
        return struct.pack("<HH", kind, len(content)) + content

    def begin(kind: int) -> bytes:
        return part(0x809, struct.pack("<HHHHII", 0x600, kind, 0x1234, 1997, 0, 0x600))

    end = part(0x0A, b"")
    font = part(0x31, struct.pack("<HHHHHBBBB", 200, 0, 0, 400, 0, 0, 0, 0, 0) + b"\5\0Arial")
    style = part(0xE0, struct.pack("<HHHBBBBIIH", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    offset = len(begin(5) + before + font * 4 + style) + len(part(0x85, bytes(8) + b"S")) + len(end)
    sheet = part(0x85, struct.pack("<IBBBB", offset, 0, 0, 1, 0) + b"S")
    rows = b"".join(
        part(0x204, struct.pack("<HHHHB", row, column, 0, len(text), 1) + text.encode("utf-16-le"))
        for row, column, text in cells
    )
    return ole_file({"Workbook": begin(5) + before + font * 4 + style + sheet + end + begin(0x10) + rows + end})
