from __future__ import annotations

import pytest

from tests.support.document_files import pdf
from thresher.documents.parsers import parse
from thresher.errors import UnreadableError

SMILE_FOR_A = (
    b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange "
    b"2 beginbfchar <41> <D83DDE00> <42> <0003> endbfchar endcmap end"
)


def text_of(data: bytes) -> str:
    return parse(data, "application/pdf", "a.pdf")


def test_pages_are_parted_by_an_empty_line_in_their_order() -> None:
    assert text_of(pdf(["café", "", "third"])) == "café\n\nthird"


def test_characters_beyond_the_basic_plane_and_controls() -> None:
    assert text_of(pdf(["ABA"], to_unicode=SMILE_FOR_A)) == "😀😀"


def test_encrypted() -> None:
    with pytest.raises(UnreadableError, match="encrypted PDF"):
        text_of(pdf(["secret"], encrypted=True))


def test_no_text_layer() -> None:
    with pytest.raises(UnreadableError, match=r"no text layer in 2 pages of PDF \(scanned\? --ocr reads it\)"):
        text_of(pdf(["", ""]))


def test_broken() -> None:
    with pytest.raises(UnreadableError, match="broken PDF"):
        text_of(b"%PDF-1.7\nnothing else")


def test_a_page_that_is_not_there_is_not_passed_over() -> None:
    cyclic = b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[2 0 R]/Count 5>>endobj"
    with pytest.raises(UnreadableError, match="page 1 of 5 cannot be read"):
        text_of(b"%PDF-1.4\n" + cyclic + b" trailer<</Root 1 0 R>>")
