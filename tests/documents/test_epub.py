from __future__ import annotations

import pytest

from tests.support.office_files import epub, replaced
from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import EPUB
from thresher.errors import UnreadableError


def text_of(data: bytes) -> str:
    return parse(data, EPUB, "a.epub")


def encryption(uri: str, algorithm: str) -> str:
    return (
        "<encryption xmlns:enc='http://www.w3.org/2001/04/xmlenc#'><enc:EncryptedData>"
        f"<enc:EncryptionMethod Algorithm='{algorithm}'/><enc:CipherData><enc:CipherReference URI='{uri}'/>"
        "</enc:CipherData></enc:EncryptedData></encryption>"
    )


def test_chapters_in_the_order_of_the_spine() -> None:
    book = epub({"z.xhtml": "<h1>One</h1><p>first</p>", "a b.xhtml": "<script src='x'/><p>second</p>"})
    assert text_of(replaced(book, {})) == "A book\n\nOne\nfirst\n\nsecond"


def test_addresses_are_percent_encoded() -> None:
    book = epub({"a%20b.xhtml": "x"})
    moved = replaced(book, {"OEBPS/a%20b.xhtml": None, "OEBPS/a b.xhtml": "<html><body><p>found</p></body></html>"})
    assert text_of(moved) == "A book\n\nfound"


def test_a_missing_chapter_is_no_success() -> None:
    with pytest.raises(UnreadableError, match=r"broken EPUB: there is no OEBPS/two\.xhtml"):
        text_of(replaced(epub({"one.xhtml": "x", "two.xhtml": "y"}), {"OEBPS/two.xhtml": None}))


def test_a_spine_that_names_nothing() -> None:
    with pytest.raises(UnreadableError, match="its spine names 'x'"):
        text_of(
            replaced(
                epub({}),
                {
                    "OEBPS/book.opf": (
                        "<package xmlns='http://www.idpf.org/2007/opf'><spine><itemref idref='x'/></spine></package>"
                    )
                },
            )
        )


@pytest.mark.parametrize("missing", ["META-INF/container.xml", "OEBPS/book.opf"])
def test_without_its_own_parts(missing: str) -> None:
    with pytest.raises(UnreadableError, match=f"broken EPUB: there is no {missing}"):
        text_of(replaced(epub({"one.xhtml": "x"}), {missing: None}))


def test_copy_protection() -> None:
    protected = {
        "META-INF/encryption.xml": encryption("OEBPS/one.xhtml", "http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    }
    with pytest.raises(UnreadableError, match="copy protection"):
        text_of(epub({"one.xhtml": "x"}, parts=protected))
    fonts = {"META-INF/encryption.xml": encryption("OEBPS/a.otf", "http://www.idpf.org/2008/embedding")}
    assert text_of(epub({"one.xhtml": "x"}, parts=fonts)) == "A book\n\nx"
