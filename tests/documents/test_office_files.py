"""Real files of many kinds and ages: each has a text or a reason, and none takes long."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import thresher.documents
from thresher.documents import FORMATS, Item, ReaderPool, ReadResult, discover

READABLE = {extension for known in FORMATS for extension in known.extensions}


@pytest.fixture(scope="module")
def results(shared_data: Path) -> list[tuple[Item, ReadResult]]:
    items = list(discover([shared_data / "office"]))
    with ReaderPool(2) as pool:
        futures = [pool.submit(item.path) for item in items if item.path is not None]
        return [(item, future.result(timeout=60)) for item, future in zip(items, futures, strict=True)]


def test_every_file_that_is_not_hidden_has_a_row(results: list[tuple[Item, ReadResult]], shared_data: Path) -> None:
    files = [path.relative_to(shared_data / "office") for path in (shared_data / "office").rglob("*") if path.is_file()]
    visible = {str(path) for path in files if not any(part.startswith(".") for part in path.parts)}
    assert {item.document_id for item, _ in results} == visible
    assert len(results) == len(visible)


def test_each_has_a_text_or_a_reason(results: list[tuple[Item, ReadResult]]) -> None:
    for item, result in results:
        assert (result.text is None) == (result.failure is not None), item.document_id
        assert result.content_sha256 is not None


def test_most_files_of_readable_formats_are_read(results: list[tuple[Item, ReadResult]]) -> None:
    read, failed = Counter[str](), Counter[str]()
    for item, result in results:
        (read if result.text else failed)[Path(item.document_id).suffix] += 1
    assert not set(read) - READABLE - {""}
    assert read[".docx"] == 4
    assert read[".eml"] > 200
    assert read[".msg"] == 1
    assert not failed[".eml"]
    assert read[".html"] == 3
    assert all(read[extension] == 1 for extension in (".pptx", ".xlsx", ".xls", ".rtf", ".epub"))
    assert failed[".pdf"] <= 8  # scans, pictures, one encrypted, one broken
    assert read[".pdf"] >= 30


def test_no_parser_is_surprised(results: list[tuple[Item, ReadResult]]) -> None:
    reasons = [result.failure.reason for _, result in results if result.failure]
    assert reasons
    assert not [reason for reason in reasons if "the parser failed" in reason or "reader process" in reason]


def test_the_public_names_are_there() -> None:
    assert all(getattr(thresher.documents, name) is not None for name in thresher.documents.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = thresher.documents.nothing
