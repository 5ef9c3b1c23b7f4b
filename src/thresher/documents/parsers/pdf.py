"""PDF: the text layer, page by page, through PDFium."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence

import pypdfium2
import pypdfium2.raw

from thresher.errors import UnreadableError

#: PDFium marks a hyphen that only breaks a word at a line's end; the word goes on behind it.
_WORD_BREAK = re.compile("\ufffe\r?\n?")
_NONCHARACTERS = re.compile("[\ufffe\uffff]")
_REASONS = {
    pypdfium2.raw.FPDF_ERR_PASSWORD: "encrypted PDF; remove its password and try again",
    pypdfium2.raw.FPDF_ERR_SECURITY: "PDF with an unsupported kind of encryption",
}


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The text of all pages in PDFium's order, an empty line between pages.

    Raises:
        UnreadableError: encrypted, broken, a page that cannot be read, or no text layer (as in a scan).
    """
    with open_pdf(data) as document:
        pages = [page_text(document, index) for index in range(len(document))]
    return join_pages(pages, f"no text layer in {len(pages)} pages of PDF (scanned? --ocr reads it)")


@contextlib.contextmanager
def open_pdf(data: bytes) -> Iterator[pypdfium2.PdfDocument]:
    """A document, closed at the end of the block.

    Raises:
        UnreadableError: encrypted or broken.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(_REASONS.get(error.err_code, "broken PDF (a cut file?)")) from error
    try:
        yield document
    finally:
        document.close()


def join_pages(pages: Sequence[str], nothing: str) -> str:
    """Pages with an empty line between them. Raises ``UnreadableError(nothing)`` where there is none with a text."""
    text = "\n\n".join(page for page in pages if page)
    if not text:
        raise UnreadableError(nothing)
    return text


def page_text(document: pypdfium2.PdfDocument, index: int) -> str:
    """The text layer of a page; empty if it has none.

    Raises:
        UnreadableError: the page cannot be read.
    """
    try:
        page = document[index]
        try:
            text_page = page.get_textpage()
            try:
                text = text_page.get_text_range(errors="replace")
            finally:
                text_page.close()
        finally:
            page.close()
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(f"broken PDF: page {index + 1} of {len(document)} cannot be read") from error
    return str(_NONCHARACTERS.sub("", _WORD_BREAK.sub("", text))).strip()
