"""The example documents: complete gold labels, readable in every format, and no near copies among them."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import docx
import pypdfium2
import pytest
import yaml
from selectolax.lexbor import LexborHTMLParser

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOCUMENTS = EXAMPLES / "documents"
PATHS = sorted(path.relative_to(DOCUMENTS).as_posix() for path in DOCUMENTS.rglob("*") if path.is_file())

MIN_DOCUMENTS = 48
MIN_LABELS = 6
MIN_WORDS = 80
MAX_BYTES = 200_000
MAX_SHARED = 0.4
SHINGLE_WORDS = 5


def decode(raw: bytes) -> str:
    """The encodings used in the examples: UTF-16 with its mark, UTF-8, otherwise Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def plain_text(path: Path) -> str:
    return decode(path.read_bytes())


def html_text(path: Path) -> str:
    tree = LexborHTMLParser(plain_text(path))
    tree.strip_tags(["script", "style", "head"])
    return tree.body.text(separator=" ") if tree.body else ""


def pdf_text(path: Path) -> str:
    document = pypdfium2.PdfDocument(path)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def docx_text(path: Path) -> str:
    document = docx.Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([paragraph.text for paragraph in document.paragraphs] + cells)


EXTRACT: dict[str, Callable[[Path], str]] = {
    ".md": plain_text,
    ".txt": plain_text,
    ".html": html_text,
    ".pdf": pdf_text,
    ".docx": docx_text,
}


def words_of(name: str) -> list[str]:
    path = DOCUMENTS / name
    return re.findall(r"\w+", EXTRACT[path.suffix](path).lower())


def shingles(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + SHINGLE_WORDS]) for start in range(len(words) - SHINGLE_WORDS + 1)}


def shared(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> float:
    """Jaccard similarity, 0 (nothing in common) to 1 (the same set)."""
    return len(left & right) / len(left | right)


@pytest.fixture(scope="module")
def gold() -> list[tuple[str, str]]:
    with (EXAMPLES / "gold.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["document", "label"]
    return [(document, label) for document, label in rows]


def test_gold_covers_exactly_the_documents(gold: list[tuple[str, str]]) -> None:
    assert sorted(document for document, _ in gold) == PATHS


def test_gold_uses_exactly_the_labels_of_the_task(gold: list[tuple[str, str]]) -> None:
    task = yaml.safe_load((EXAMPLES / "task.yaml").read_text(encoding="utf-8"))
    assert {label for _, label in gold} == set(task["labels"])


def test_there_are_enough_documents_of_every_label(gold: list[tuple[str, str]]) -> None:
    counts = Counter(label for _, label in gold)
    assert len(gold) >= MIN_DOCUMENTS
    assert len(counts) >= MIN_LABELS
    assert min(counts.values()) >= MIN_DOCUMENTS // MIN_LABELS


def test_every_format_is_there_and_no_format_gives_the_label_away(gold: list[tuple[str, str]]) -> None:
    labels_by_suffix = {suffix: {label for name, label in gold if name.endswith(suffix)} for suffix in EXTRACT}
    assert {Path(name).suffix for name in PATHS} == set(EXTRACT)
    assert all(len(labels) >= MIN_LABELS - 1 for labels in labels_by_suffix.values()), labels_by_suffix


@pytest.mark.parametrize("name", PATHS)
def test_document_is_small_and_has_text(name: str) -> None:
    assert (DOCUMENTS / name).stat().st_size <= MAX_BYTES
    assert len(words_of(name)) >= MIN_WORDS


def test_no_two_documents_are_near_copies() -> None:
    by_name = {name: shingles(words_of(name)) for name in PATHS}
    pairs = itertools.combinations(by_name, 2)
    near = [(a, b) for a, b in pairs if shared(by_name[a], by_name[b]) > MAX_SHARED]
    assert near == []


def test_a_lightly_edited_copy_would_be_noticed() -> None:
    words = words_of(PATHS[0])
    edited = ["different" if position % 40 == 0 else word for position, word in enumerate(words)]
    assert shared(shingles(words), shingles(edited)) > MAX_SHARED
