from __future__ import annotations

import io
import zipfile

import pytest

from tests.support.document_files import docx, paragraph, word_part
from thresher.documents.parsers import package, parse
from thresher.documents.parsers.recognise import DOCX
from thresher.errors import UnreadableError

LAUGHS = (
    "<!DOCTYPE w:document [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(97 + n + 1)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(9))
    + "]>"
)


def text_of(data: bytes) -> str:
    return parse(data, DOCX, "a.docx")


def test_paragraphs_lists_tabs_and_breaks() -> None:
    body = (
        paragraph("Heading")
        + paragraph("one", "<w:numPr/>")
        + "<w:p><w:pPr><w:tabs><w:tab w:pos='1'/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/>"
        "<w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r></w:p>" + paragraph("")
    )
    assert text_of(docx(body)) == "Heading\n- one\na\tb\nc-d"


def test_tables_in_order_with_nested_ones() -> None:
    def table(*rows: tuple[str, ...]) -> str:
        cells = ["".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows]
        return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"

    oak = paragraph("Desk") + paragraph("oak")
    inner = table((paragraph("x"), paragraph("y")))
    body = (
        paragraph("before")
        + table((paragraph("Item"), paragraph("Price")), (oak, inner), (paragraph(""),))
        + paragraph("after")
    )
    assert text_of(docx(body)) == "before\nItem\tPrice\nDesk oak\tx\ty\nafter"


def test_headers_notes_comments_and_footers_in_reading_order() -> None:
    def note(root: str, element: str, text: str) -> str:
        separator = f"<w:{element} w:id='0' w:type='separator'>{paragraph('----')}</w:{element}>"
        return word_part(root, f"{separator}<w:{element} w:id='7'>{paragraph(text)}</w:{element}>")

    references = "".join(f"<w:r><w:{kind}Reference w:id='7'/></w:r>" for kind in ("footnote", "endnote", "comment"))
    data = docx(
        f"<w:p><w:r><w:t>body</w:t></w:r>{references}</w:p>" + paragraph("more"),
        {
            "header1": word_part("hdr", paragraph("top")),
            "header2": word_part("hdr", paragraph("top")),
            "footer1": word_part("ftr", paragraph("bottom")),
            "footnotes": note("footnotes", "footnote", "a footnote"),
            "endnotes": note("endnotes", "endnote", "an endnote"),
            "comments": note("comments", "comment", "a comment"),
        },
    )
    assert text_of(data) == "top\nbody\na footnote\nan endnote\na comment\nmore\nbottom"


def test_deleted_moved_and_hidden_text_and_field_codes_are_left_out() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:p><w:del>{run.format('D')}</w:del><w:ins>{run.format('I')}</w:ins><w:moveFrom>{run.format('M')}</w:moveFrom>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>H</w:t></w:r><w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>V</w:t></w:r>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert text_of(docx(body)) == "IV"


def test_a_drawing_and_its_fallback_are_read_once() -> None:
    compatibility = "xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'"
    box = f"<w:txbxContent>{paragraph('in the box')}</w:txbxContent>"
    alternate = (
        f"<mc:AlternateContent {compatibility}><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent>"
    )
    assert text_of(docx(f"<w:p><w:r><w:t>text</w:t>{alternate}</w:r></w:p>")) == "in the box\ntext"


def test_formulas() -> None:
    math = "xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'"
    assert text_of(docx(f"<w:p><m:oMath {math}><m:r><m:t>E=mc</m:t></m:r></m:oMath></w:p>")) == "E=mc"


def test_strict_documents() -> None:
    data = docx(paragraph("strict"))
    source = zipfile.ZipFile(io.BytesIO(data))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            part = (
                source.read(name)
                .decode()
                .replace(
                    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
                    "http://purl.oclc.org/ooxml/wordprocessingml/main",
                )
                .replace(
                    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                    "http://purl.oclc.org/ooxml/officeDocument/relationships",
                )
            )
            archive.writestr(name, part)
    assert text_of(target.getvalue()) == "strict"


@pytest.mark.parametrize(
    "head",
    [LAUGHS, "<!DOCTYPE w:document [<!ENTITY j SYSTEM 'file:///etc/passwd'>]>", "<!DOCTYPE a SYSTEM 'http://x/'>"],
)
@pytest.mark.parametrize("reference", ["&j;", "plain"])
def test_document_type_declarations_are_refused(head: str, reference: str) -> None:
    with pytest.raises(UnreadableError, match="document type declaration"):
        text_of(docx(paragraph(reference), head=head))


def test_external_relations_are_not_followed() -> None:
    relation = "<Relationship Type='x/relationships/header' TargetMode='External' Target='file:///etc/passwd'/>"
    outside = "<Relationship Type='x/relationships/header' Target='../../../../etc/passwd'/>"
    data = io.BytesIO(docx(paragraph("body")))
    with zipfile.ZipFile(data, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("word/_rels/document.xml.rels", f"<Relationships>{relation}{outside}</Relationships>")
    assert text_of(data.getvalue()) == "body"


def test_a_bomb_that_declares_its_size() -> None:
    with pytest.raises(UnreadableError, match="unpacks to more than 256 MiB"):
        text_of(docx(paragraph(" " * (package.MAX_PART_BYTES + 1))))


def test_a_bomb_that_lies_about_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_PART_BYTES", 100_000)
    data = docx(paragraph("a" * 1_000_000))
    with pytest.raises(UnreadableError, match=r"broken DOCX|unpacks to more"):
        text_of(_understate(data, "word/document.xml", 1000))


def _understate(data: bytes, member: str, size: int) -> bytes:
    """Write another unpacked size into both headers of a member."""
    changed = bytearray(data)
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo(member)
    changed[info.header_offset + 22 : info.header_offset + 26] = size.to_bytes(4, "little")
    entry = data.rindex(member.encode()) - 46
    assert data[entry : entry + 4] == b"PK\1\2"
    changed[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    return bytes(changed)


def test_encrypted_members() -> None:
    changed = bytearray(docx(paragraph("x")))
    entry = bytes(changed).rindex(b"word/document.xml") - 46
    changed[entry + 8] |= 1
    with pytest.raises(UnreadableError, match="encrypted DOCX"):
        text_of(bytes(changed))


def test_without_its_main_part() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/other.xml", "<a/>")
    with pytest.raises(UnreadableError, match="broken DOCX"):
        text_of(buffer.getvalue())


def test_tables_in_tables_without_end() -> None:
    with pytest.raises(UnreadableError, match="nested more than 200 deep"):
        text_of(docx("<w:tbl><w:tr><w:tc>" * 1000 + paragraph("deep") + "</w:tc></w:tr></w:tbl>" * 1000))
