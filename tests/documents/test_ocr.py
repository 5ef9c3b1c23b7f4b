"""Scans and pictures, read by the real recogniser in the real worker processes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.document_files import pdf
from tests.support.pictures import page, picture
from thresher.documents import ReaderPool, parser_version
from thresher.documents.parsers import scans
from thresher.documents.parsers.ocr import _lines
from thresher.documents.parsers.recognise import recognise
from thresher.errors import UnreadableError

pytest.importorskip("rapidocr")


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(1, ocr=True) as shared:
        yield shared


def test_pictures_and_scanned_pages(pool: ReaderPool, tmp_path: Path) -> None:
    files = {
        "a.png": picture("Invoice total 4250", "PNG"),
        "b.tiff": picture("Rent", "TIFF", pages=2),
        "c.pdf": picture("Invoice total 4250", "PDF"),
        "d.pdf": pdf(["a text layer"]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    texts = {name: pool.submit(tmp_path / name).result().text for name in files}
    assert texts["a.png"] == texts["c.pdf"] == "Invoice total 4250"
    assert texts["b.tiff"] == "Rent\n\nRent"
    assert texts["d.pdf"] == "a text layer"


def test_nothing_to_read_is_a_reason(pool: ReaderPool, tmp_path: Path) -> None:
    files = {"a.png": picture("", "PNG"), "b.pdf": pdf(["", ""]), "c.jpg": picture("x", "JPEG")[:200]}
    reasons = []
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        failure = pool.submit(tmp_path / name).result().failure
        assert failure is not None
        reasons.append(failure.reason)
    assert reasons[:2] == ["OCR found no text in the picture", "no text layer in 2 pages of PDF, and OCR found no text"]
    assert reasons[2].startswith("broken picture: ")


def test_too_many_pages_and_too_many_pixels() -> None:
    with pytest.raises(UnreadableError, match="400 pages without a text layer are over the limit of 40 for OCR"):
        scans.parse_pdf(picture("x", "PDF", pages=400), "a.pdf")
    with pytest.raises(UnreadableError, match="41 pages of a TIFF are over the limit"):
        scans.parse_picture(picture("x", "TIFF", pages=41), "a.tiff")
    buffer = io.BytesIO()
    page("", (30_000, 5_000)).convert("1").save(buffer, "PNG")
    with pytest.raises(UnreadableError, match="30,000 x 5,000 pixels is too large for OCR"):
        scans.parse_picture(buffer.getvalue(), "a.png")


def test_pictures_are_documents_only_when_asked() -> None:
    data = picture("x", "PNG")
    assert recognise(data, "a.png", ocr=True) == "image/png"
    with pytest.raises(UnreadableError, match="PNG image files are not supported without --ocr"):
        recognise(data, "a.png")


def test_boxes_on_one_level_are_one_line() -> None:
    def box(left: float, top: float, text: str) -> tuple[list[list[float]], str]:
        right, bottom = left + 50, top + 20
        return [[left, top], [right, top], [right, bottom], [left, bottom]], text

    found = [box(300, 101, "42"), box(0, 100, "total"), box(0, 50, "of"), box(55, 52, "it"), box(0, 0, "head")]
    assert _lines(found) == "head\nof it\ntotal\t42"


def test_the_recogniser_is_part_of_the_parser_version() -> None:
    assert parser_version(ocr=True).startswith(f"{parser_version(ocr=False)}+rapidocr-")
