from __future__ import annotations

import pytest

from tests.support.office_files import word_97
from tests.support.ole_files import ole
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
        text_of(ole({"Workbook": b"x"}))
