"""Zip bombs and other tricks, in every format that lies in a zip container."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.support.document_files import docx, paragraph
from tests.support.office_files import archive, epub, inline, open_document, pptx, shape, slide_part, xlsx
from thresher.documents.parsers import package, parse
from thresher.documents.parsers.recognise import DOCX, EPUB, ODP, ODS, ODT, PPTX, XLSX, recognise
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError

BLANK = " " * 3_000_000
CASES = {
    DOCX: (docx(paragraph(BLANK)), "word/document.xml"),
    XLSX: (xlsx({"S": f"<row>{inline('A1', BLANK)}</row>"}), "xl/worksheets/sheet1.xml"),
    PPTX: (pptx([slide_part(shape(BLANK))]), "ppt/slides/slide1.xml"),
    ODT: (open_document("text", f"<text:p>{BLANK}</text:p>"), "content.xml"),
    ODS: (open_document("spreadsheet", BLANK), "content.xml"),
    ODP: (open_document("presentation", BLANK), "content.xml"),
    EPUB: (epub({"one.xhtml": BLANK}), "OEBPS/one.xhtml"),
}
every_container = pytest.mark.parametrize("media_type", sorted(CASES))


@every_container
def test_a_part_that_unpacks_to_too_much(media_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_PART_BYTES", 1024 * 1024)
    with pytest.raises(UnreadableError, match="unpacks to more than 1 MiB"):
        parse(CASES[media_type][0], media_type, "a")


@every_container
def test_parts_that_unpack_to_too_much_together(media_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_TOTAL_BYTES", 1024 * 1024)
    with pytest.raises(UnreadableError, match="unpack to more than 1 MiB"):
        parse(CASES[media_type][0], media_type, "a")


@every_container
def test_a_size_that_is_a_lie(media_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, member = CASES[media_type]
    changed = bytearray(data)
    info = zipfile.ZipFile(io.BytesIO(data)).getinfo(member)
    entry = data.rindex(member.encode()) - 46
    for place in (info.header_offset + 22, entry + 24):
        changed[place : place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(UnreadableError, match="broken"):
        parse(bytes(changed), media_type, "a")


@every_container
def test_an_encrypted_member(media_type: str) -> None:
    data, member = CASES[media_type]
    changed = bytearray(data)
    changed[data.rindex(member.encode()) - 46 + 8] |= 1
    with pytest.raises(UnreadableError, match="encrypted .*; remove its password"):
        parse(bytes(changed), media_type, "a")


def test_archives_in_archives_are_not_opened() -> None:
    bomb = archive({"deep.zip": archive({"deeper.zip": archive({"zeros": BLANK})})})
    assert parse(docx(paragraph("x"), {"header1": "<a/>"}), DOCX, "a.docx") == "x"
    with pytest.raises(UnreadableError, match="zip archive files are not supported"):
        recognise(bomb, "a.docx")


def test_relations_out_of_the_package_lead_nowhere() -> None:
    links = (
        "<Relationship Id='r1' Type='x/relationships/worksheet' Target='../../../../etc/passwd'/>"
        "<Relationship Id='r2' Type='x/relationships/sharedStrings' TargetMode='External' Target='http://x/'/>"
    )
    data = xlsx({"S": "<row/>"}, parts={"xl/_rels/workbook.xml.rels": f"<Relationships>{links}</Relationships>"})
    with pytest.raises(UnreadableError, match="sheet 'S' is missing"):
        parse(data, XLSX, "a.xlsx")


@pytest.mark.parametrize("media_type", [DOCX, XLSX, PPTX])
def test_document_types_in_office_files(media_type: str) -> None:
    data, member = CASES[media_type]
    source = zipfile.ZipFile(io.BytesIO(data))
    members = {name: source.read(name) for name in source.namelist()}
    members[member] = b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>"
    with pytest.raises(UnreadableError, match="document type declaration"):
        parse(archive(members), media_type, "a")


@pytest.mark.parametrize("encoding", ["utf-7", "x-made-up", "shift_jis", "utf-16"])
def test_declared_encodings(encoding: str) -> None:
    head = f"<?xml version='1.0' encoding='{encoding}'?>"
    data = archive({"[Content_Types].xml": "", "xl/workbook.xml": f"{head}<workbook/>"})
    with pytest.raises(UnreadableError):
        parse_document(data, "a.xlsx")
