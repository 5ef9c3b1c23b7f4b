"""What every reader must do, whatever it is given: text, or an UnreadableError with a reason; never a hang."""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.document_files import docx, html, paragraph, pdf
from tests.support.mail_files import msg_mail
from tests.support.office_files import (
    epub,
    excel_97,
    inline,
    open_document,
    powerpoint_97,
    pptx,
    record,
    shape,
    slide_part,
    slide_text,
    word_97,
    xlsx,
)
from thresher.documents import FORMATS
from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import DOC, DOCX, EPUB, ODP, ODS, ODT, PPT, PPTX, RTF, XLS, XLSX
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError

HOSTILE_SECONDS = 100.0


def deep_records(depth: int) -> bytes:
    """Containers in containers around a text."""
    content = slide_text("deep")
    for _ in range(depth):
        content = record(1036, content, container=True)
    return content


_CELL = "<table:table><table:table-row><table:table-cell>{}</table:table-cell></table:table-row></table:table>"
_DEPTH = 20_000

#: media type -> (a name, a smallest document that says "Hello")
MINIMAL: dict[str, tuple[str, bytes]] = {
    "text/plain": ("a.txt", b"Hello\n"),
    "text/markdown": ("a.md", b"# Hello\n"),
    "text/csv": ("a.csv", b"greeting\nHello\n"),
    "application/json": ("a.json", b'{"greeting": "Hello"}'),
    "application/xml": ("a.xml", b"<?xml version='1.0'?><greeting>Hello</greeting>"),
    "message/rfc822": ("a.eml", b"From: a@example.org\r\nSubject: Hello\r\n\r\nHello\r\n"),
    "application/vnd.ms-outlook": ("a.msg", msg_mail("Hello", "Hello")),
    "text/html": ("a.html", html("<p>Hello</p>")),
    "application/pdf": ("a.pdf", pdf(["Hello"])),
    DOCX: ("a.docx", docx(paragraph("Hello"))),
    DOC: ("a.doc", word_97("Hello\r")),
    XLSX: ("a.xlsx", xlsx({"S": f"<row r='1'>{inline('A1', 'Hello')}</row>"})),
    XLS: ("a.xls", excel_97([(0, 0, "Hello")])),
    PPTX: ("a.pptx", pptx([slide_part(shape("Hello"))])),
    PPT: ("a.ppt", powerpoint_97(slide_text("Hello"))),
    ODT: ("a.odt", open_document("text", "<text:p>Hello</text:p>")),
    ODS: ("a.ods", open_document("spreadsheet", _CELL.format("<text:p>Hello</text:p>"))),
    ODP: ("a.odp", open_document("presentation", "<draw:page><text:p>Hello</text:p></draw:page>")),
    RTF: ("a.rtf", b"{\\rtf1\\ansi Hello}"),
    EPUB: ("a.epub", epub({"one.xhtml": "<p>Hello</p>"})),
}
DEEP: dict[str, bytes] = {
    "application/json": b"[" * 200_000,
    "application/xml": b"<a>" * 200_000,
    "message/rfc822": b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n"
    + b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" * 3_000,
    "text/html": html("<div>" * 5_000 + "deep" + "<b><table>" * 2_000),
    "application/pdf": b"%PDF-1.4\n1 0 obj\n" + b"[<<" * 200_000,
    DOCX: docx("<w:tbl><w:tr><w:tc>" * 20_000 + paragraph("deep") + "</w:tc></w:tr></w:tbl>" * 20_000),
    XLSX: xlsx({"S": "<row><c t='inlineStr'><is>" * _DEPTH + "<t>deep</t>" + "</is></c></row>" * _DEPTH}),
    PPTX: pptx([slide_part("<p:grpSp>" * _DEPTH + "<a:tbl><a:tr><a:tc>" * _DEPTH + shape("deep"))]),
    PPT: powerpoint_97(deep_records(5_000)),
    ODT: open_document("text", "<text:list><text:list-item>" * _DEPTH + "<text:p>deep</text:p>"),
    ODS: open_document("spreadsheet", _CELL.partition("{")[0] * _DEPTH + "<text:p>deep</text:p>"),
    ODP: open_document("presentation", "<draw:page><text:note-body>" * _DEPTH + "<text:p>deep</text:p>"),
    RTF: b"{\\rtf1 " + b"{\\footnote{\\pict{" * _DEPTH + b"deep" + b"}}}" * _DEPTH + b"}",
    EPUB: epub({"one.xhtml": "<div>" * _DEPTH + "deep"}),
}
every_format = pytest.mark.parametrize("media_type", sorted(MINIMAL))


def text_or_reason(data: bytes, media_type: str, name: str) -> None:
    """Both ways in: by the parser itself, and by recognition. Anything but an UnreadableError fails the test."""
    with contextlib.suppress(UnreadableError):
        check(parse(data, media_type, name))
    with contextlib.suppress(UnreadableError):
        check(parse_document(data, name)[1])


def check(text: str) -> None:
    assert text.strip()
    assert "\0" not in text
    text.encode()  # no lone surrogates


def test_every_format_has_a_minimal_document() -> None:
    assert {known.media_type for known in FORMATS} == set(MINIMAL)


@every_format
def test_a_valid_document_gives_its_text(media_type: str) -> None:
    name, data = MINIMAL[media_type]
    assert "Hello" in parse(data, media_type, name)
    assert parse_document(data, name)[0] == media_type


@every_format
def test_an_empty_file_is_unreadable(media_type: str) -> None:
    name = MINIMAL[media_type][0]
    with pytest.raises(UnreadableError):
        parse(b"", media_type, name)
    with pytest.raises(UnreadableError, match="empty"):
        parse_document(b"", name)


@every_format
def test_white_space_is_no_text(media_type: str) -> None:
    with pytest.raises(UnreadableError):
        parse(b" \r\n\t\n ", media_type, MINIMAL[media_type][0])


@every_format
def test_truncated_at_every_point(media_type: str) -> None:
    name, data = MINIMAL[media_type]
    for cut in range(0, len(data), max(1, len(data) // 64)):
        text_or_reason(data[:cut], media_type, name)


@every_format
def test_random_bytes(media_type: str) -> None:
    name, data = MINIMAL[media_type]
    source = random.Random(7)
    for size in (1, 16, 1000, 20_000):
        noise = source.randbytes(size)
        text_or_reason(noise, media_type, name)
        text_or_reason(data[:16] + noise, media_type, name)


@every_format
@settings(max_examples=40)
@given(edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=20))
def test_changed_bytes(media_type: str, edits: list[tuple[int, int]]) -> None:
    name, data = MINIMAL[media_type]
    changed = bytearray(data)
    for place, value in edits:
        changed[place % len(changed)] = value
    text_or_reason(bytes(changed), media_type, name)


@every_format
@pytest.mark.parametrize("wrong_name", ["a.txt", "a.pdf", "a.docx", "a.html", "a.unheard-of", "no extension"])
def test_the_wrong_extension_does_not_fool_it(media_type: str, wrong_name: str) -> None:
    assert "Hello" in parse_document(MINIMAL[media_type][1], wrong_name)[1]


@pytest.mark.parametrize("media_type", sorted(DEEP))
def test_deep_nesting_ends(media_type: str) -> None:
    started = time.monotonic()
    text_or_reason(DEEP[media_type], media_type, MINIMAL[media_type][0])
    assert time.monotonic() - started < HOSTILE_SECONDS


@every_format
def test_reading_twice_gives_the_same(media_type: str) -> None:
    name, data = MINIMAL[media_type]
    assert parse(data, media_type, name) == parse(data, media_type, name)
