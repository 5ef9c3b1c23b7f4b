from __future__ import annotations

import io
import time
import zipfile

import pytest

from tests.support.document_files import docx, paragraph, pdf
from tests.support.ole_files import ole_file
from thresher.documents import FORMATS, describe_formats
from thresher.documents.parsers.recognise import DOC, DOCX, EPUB, ODS, ODT, PPT, PPTX, XLS, XLSX, recognise
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError


def archive_of(*members: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "PNG image"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "JPEG image"),
        (b"GIF89a" + bytes(20), "GIF image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV audio"),
        (b"\xff\xfb\x90\x64" + bytes(20), "MP3 audio"),
        (b"\0\0\0\x18ftypmp42" + bytes(9), "MP4"),
        (b"\x1f\x8b\x08" + bytes(9), "gzip archive"),
        (b"\x7fELF\2\1" + bytes(9), "program"),
        (b"MZ\x90\0\3" + bytes(60), "program"),
        (b"SQLite format 3\0", "SQLite database"),
        (b"GGUF\3\0\0\0", "GGUF model"),
        (b"PAR1\x15\0", "Parquet"),
        (b"<?xml version='1.0'?><!-- c -->\n<svg xmlns='x'><text>t</text></svg>", "SVG image"),
        (archive_of(("word/list.txt", "hello")), "zip archive"),
        (archive_of(("visio/document.xml", "")), r"Visio \(VSDX\)"),
        (archive_of(("mimetype", "application/x-unheard-of")), "zip archive"),
        (archive_of(("a.txt", "hello")), "zip archive"),
        (ole_file({"Quill": b""}), r"Publisher \(PUB\)"),
        (ole_file({"x": "WordDocument".encode("utf-16-le")}), "OLE container"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a"])
def test_what_is_not_read_is_named(data: bytes, kind: str, name: str) -> None:
    with pytest.raises(UnreadableError, match=f"{kind}.* files are not supported"):
        recognise(data, name)


def test_an_encrypted_docx_is_an_ole_file() -> None:
    with pytest.raises(UnreadableError, match="encrypted Office file"):
        recognise(ole_file({"EncryptedPackage": b"", "EncryptionInfo": b""}), "a.docx")


@pytest.mark.parametrize("cut", [100, 600])
def test_a_cut_ole_file(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("the bytes were taken for a file's name"))
    with pytest.raises(UnreadableError, match="broken OLE container"):
        recognise(ole_file({"WordDocument": b""})[:cut], "a.doc")


def test_a_cut_docx() -> None:
    with pytest.raises(UnreadableError, match="broken zip container"):
        recognise(docx(paragraph("x"))[:-30], "a.docx")


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (b"plain words", "notes.txt", "text/plain"),
        (b"plain words", "README", "text/plain"),
        (b"plain words", "really-text.pdf", "text/plain"),
        (b"int main() {}", "main.c", "text/plain"),
        (b"# Title", "A.MD", "text/markdown"),
        (b"{}", "a.ipynb", "application/json"),
        (b"<rss/>", "a.xml", "application/xml"),
        (b"  <!DOCTYPE html><p>x", "saved.txt", "text/html"),
        (b"\xef\xbb\xbf<!-- c --><HTML lang=en>", "x", "text/html"),
        (b"<?xml version='1.0'?>\n<html xmlns='x'>", "x.xml", "text/html"),
        (b"<htmlish>", "x", "text/plain"),
        (pdf(["x"]), "x.txt", "application/pdf"),
        (b"garbage before\n" + pdf(["x"]), "x", "application/pdf"),
        (docx(paragraph("x")), "x.zip", DOCX),
        (archive_of(("[Content_Types].xml", ""), ("xl/workbook.xml", "")), "report.docx", XLSX),
        (archive_of(("[Content_Types].xml", ""), ("ppt/presentation.xml", "")), "a.xlsx", PPTX),
        (archive_of(("mimetype", "application/epub+zip"), ("x", "")), "x.docx", EPUB),
        (archive_of(("META-INF/container.xml", "")), "x", EPUB),
        (archive_of(("mimetype", "application/vnd.oasis.opendocument.spreadsheet-template")), "a.odt", ODS),
        (b"<?xml version='1.0'?>\n<office:document x='y' office:mimetype='" + ODT.encode() + b"'>", "a.xml", ODT),
        (b"<office:document office:mimetype='x/y'>", "a.fodt", "application/xml"),
        (ole_file({"WordDocument": b"", "1Table": b""}), "a.xls", DOC),
        (ole_file({"Workbook": b""}), "a.doc", XLS),
        (ole_file({"Book": b""}), "a", XLS),
        (ole_file({"PowerPoint Document": b"", "Current User": b""}), "a.doc", PPT),
        (b"really text", "a.xls", "text/plain"),
        (b"BM is how this text begins", "x", "text/plain"),
        (b"MZ too", "x", "text/plain"),
    ],
)
def test_kinds(data: bytes, name: str, media_type: str) -> None:
    assert recognise(data, name) == media_type


def test_binary_named_txt() -> None:
    with pytest.raises(UnreadableError, match="binary data, not text"):
        parse_document(bytes(range(256)) * 4, "a.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_a_byte_order_mark_is_no_sign_of_music(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    assert parse_document((mark + "hello wörld\n").encode(encoding), "a.txt")[1].strip() == "hello wörld"


def test_recognition_takes_no_time_on_comments_without_end() -> None:
    started = time.monotonic()
    for start in (b"<!---->" * 1000, b"<!--" * 2000, b"<?xml" * 2000, b"<!-- --> " * 1000 + b"<"):
        assert recognise(start + b"x", "a.txt") == "text/plain"
    assert time.monotonic() - started < 20  # minutes where it looks for an end from every start


def test_formats_are_described() -> None:
    table = describe_formats()
    assert all(known.name in table and known.media_type in table for known in FORMATS)
    extensions = [extension for known in FORMATS for extension in known.extensions]
    assert len(extensions) == len(set(extensions))
