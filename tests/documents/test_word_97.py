from __future__ import annotations

import struct
import time

import pytest

from tests.support.office_files import word_97
from tests.support.ole_files import ole_file
from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import DOC
from thresher.errors import UnreadableError


def text_of(data: bytes) -> str:
    return parse(data, DOC, "a.doc")


def test_text_breaks_and_field_codes() -> None:
    field = "\x13 HYPERLINK \x13 PAGE \x141\x15 'x' \x14the link\x15"
    text = f"one\rtwo\x0bthree\t😀\x01\x0c{field} and \x13 DATE \x15then\r"
    assert text_of(word_97(text)) == "one\ntwo\nthree\t😀\nthe link and then"


def test_a_field_that_does_not_end_hides_nothing() -> None:
    assert text_of(word_97("a\x13b\rc\x15\x15d\r")) == "a\nd"
    assert text_of(word_97("a\x13b\rc")) == "ab\nc"


def test_nested_fields_cost_little() -> None:
    started = time.monotonic()
    depth = 300_000
    assert text_of(word_97("\x13" * depth + "code" + "\x15" * depth + "text\r")) == "text"
    assert time.monotonic() - started < 60


def test_encrypted() -> None:
    for flag in (0x0100, 0x8000):
        with pytest.raises(UnreadableError, match="encrypted DOC"):
            text_of(word_97("x", flags=flag))


def test_older_than_word_97() -> None:
    with pytest.raises(UnreadableError, match=r"Word 95 or older; save it as \.docx"):
        text_of(word_97("x", version=0x68))


@pytest.mark.parametrize("last_cp", [100_000, 0xFFFFFFFF])
def test_more_text_than_there_is(last_cp: int) -> None:
    with pytest.raises(UnreadableError, match=r"missing \(a cut file|more than"):
        text_of(word_97("x", last_cp=last_cp))


def test_without_its_tables() -> None:
    with pytest.raises(UnreadableError, match="a table is missing"):
        text_of(word_97("x", flags=0x0200))
    with pytest.raises(UnreadableError, match="no document"):
        text_of(ole_file({"Workbook": b"x"}))


def test_pieces_in_two_encodings_with_deleted_and_hidden_runs() -> None:
    """As after a fast save: the second piece of the text lies before the first, and runs are given in bytes."""
    document, tables = bytearray(4096), bytearray()
    unicode_at, compressed_at, page = 1024, 1536, 5
    document[unicode_at : unicode_at + 20] = "Ключ hidden"[:10].encode("utf-16-le")
    document[compressed_at : compressed_at + 13] = "caf\xe9 deleted\r".encode("cp1252")
    struct.pack_into("<HH6xH", document, 0, 0xA5EC, 0xC1, 0)
    struct.pack_into("<i", document, 76, 23)
    pieces = struct.pack("<III", 0, 13, 23)
    pieces += struct.pack("<HIH", 0, 0x40000000 | 2 * compressed_at, 0) + struct.pack("<HIH", 0, unicode_at, 0)
    clx = b"\2" + struct.pack("<I", len(pieces)) + pieces
    runs = struct.pack("<III", unicode_at + 10, unicode_at + 20, compressed_at + 5)
    runs += struct.pack("<II", compressed_at + 5, compressed_at + 12)
    place = page * 512
    document[place : place + len(runs)] = runs
    document[place + len(runs) : place + len(runs) + 4] = bytes([50, 0, 51 + 1, 52])
    document[place + 100 : place + 104] = b"\3" + struct.pack("<HB", 0x083C, 1)  # hidden
    document[place + 104 : place + 108] = b"\3" + struct.pack("<HB", 0x0800, 1)  # deleted
    document[place + 511] = 4
    tables += clx
    struct.pack_into("<II", document, 154 + 8 * 33, 0, len(clx))
    struct.pack_into("<II", document, 154 + 8 * 12, len(tables), 12)
    tables += struct.pack("<III", 0, len(document), page)
    assert text_of(ole_file({"WordDocument": bytes(document), "0Table": bytes(tables)})) == "café \nКлюч "
