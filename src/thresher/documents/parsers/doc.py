"""DOC: the text of a Word 97 to 2003 document, laid out as that of DOCX; text boxes stand behind the body."""

from __future__ import annotations

import re

from thresher.documents.parsers.doc_structure import WordFile
from thresher.documents.parsers.flow import Flow
from thresher.documents.parsers.ole import read_streams
from thresher.documents.parsers.surrogates import join_surrogates
from thresher.errors import UnreadableError

_STREAMS = ("WordDocument", "0Table", "1Table")
_FIELD_BEGIN, _FIELD_RESULT, _FIELD_END = "\x13", "\x14", "\x15"
_FIELD_MARKS = re.compile("[\x13-\x15]")
_ENDS = re.compile("[\r\x07\x0c\x0e]")
_CONTROLS = str.maketrans({"\x0b": "\n", "\x1e": "-", **dict.fromkeys(map(chr, (*range(9), *range(14, 30), 0x1F)))})
#: subdocument of notes -> tables of where they are referred to (and bytes an item) and where they begin
_NOTES = {"footnotes": (2, 2, 3), "comments": (4, 30, 5), "endnotes": (46, 2, 47)}
_HEADER_STORIES = 11
_SEPARATORS = 6  # stories before the headers
_IS_HEADER = (True, True, False, False, True, False)  # even, odd; even, odd; first


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The document's text; deleted and hidden text and field codes are left out.

    Raises:
        UnreadableError: broken, encrypted, or older than Word 97.
    """
    streams = read_streams(data, _STREAMS, "DOC")
    if "WordDocument" not in streams:
        raise UnreadableError("broken DOC: there is no document in it")
    file = WordFile(streams["WordDocument"], streams)
    _hide_field_codes(file)
    notes = _notes(file)
    headers, footers = _headers(file)
    body = [_text(file, *file.span("main"), notes), _text(file, *file.span("text boxes"))]
    parts = [*dict.fromkeys(headers), *body, *dict.fromkeys(footers)]
    return "\n".join(part for part in parts if part.strip())


def _hide_field_codes(file: WordFile) -> None:
    """Between a field's begin and its result, or its end; fields nest."""
    begun: list[int] = []
    codes: list[tuple[int, int]] = []
    for mark in _FIELD_MARKS.finditer(file.characters):
        if mark[0] == _FIELD_BEGIN:
            begun.append(mark.start())
        elif begun and begun[-1] >= 0:
            codes.append((begun[-1], mark.start()))
            begun[-1] = -1
        if mark[0] == _FIELD_END and begun:
            begun.pop()
    done = 0
    for start, end in sorted(codes):
        if end > done:
            start = max(start, done)
            file.hidden[start:end] = b"\1" * (end - start)
            done = end


def _notes(file: WordFile) -> list[tuple[int, str]]:
    """(CP of the reference, text) of all notes, in their order."""
    found = []
    for subdocument, (references, item_bytes, texts) in _NOTES.items():
        start, end = file.span(subdocument)
        bounds = [min(start + cp, end) for cp in file.positions(texts, 0)]
        places = file.positions(references, item_bytes)[:-1]
        found += [
            (cp, _text(file, first, last).strip()) for cp, first, last in zip(places, bounds, bounds[1:], strict=False)
        ]
    return sorted(found, key=lambda note: note[0])


def _headers(file: WordFile) -> tuple[list[str], list[str]]:
    start, end = file.span("headers")
    bounds = [min(start + cp, end) for cp in file.positions(_HEADER_STORIES, 0)]
    headers: list[str] = []
    footers: list[str] = []
    for story in range(_SEPARATORS, len(bounds) - 2):
        is_header = _IS_HEADER[story % len(_IS_HEADER)]
        (headers if is_header else footers).append(_text(file, bounds[story], bounds[story + 1]))
    return headers, footers


def _text(file: WordFile, start: int, end: int, notes: list[tuple[int, str]] | None = None) -> str:
    """The text from one CP to another, each note behind the paragraph that refers to it."""
    flow = Flow()
    left = list(reversed(notes or []))
    in_row = False
    position = start
    for mark in _ENDS.finditer(file.characters, start, end):
        at = mark.start()
        if in_row != bool(file.marks["in table"][at]):
            in_row = not in_row
            _begin_row(flow) if in_row else _end_row(flow)
        text = _visible(file, position, at)
        flow.add("- " + text if text.strip() and file.marks["list item"][at] else text)
        while left and left[-1][0] <= at:
            flow.add(left.pop()[1])
        if mark[0] == "\x07" and in_row:
            flow.close_cell()
            flow.open_cell()
            if file.marks["row end"][at]:
                _end_row(flow)
                in_row = False
        position = mark.end()
    if in_row:
        _end_row(flow)
    flow.add(_visible(file, position, end))
    return flow.text()


def _begin_row(flow: Flow) -> None:
    flow.open_row()
    flow.open_cell()


def _end_row(flow: Flow) -> None:
    flow.close_cell()
    flow.close_row()


def _visible(file: WordFile, start: int, end: int) -> str:
    text = file.characters[start:end]
    if file.hidden.find(1, start, end) >= 0:
        text = "".join(character for character, hidden in zip(text, file.hidden[start:end], strict=True) if not hidden)
    return join_surrogates(text.translate(_CONTROLS))
