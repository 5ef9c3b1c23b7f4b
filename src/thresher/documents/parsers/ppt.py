"""PPT: the text of a PowerPoint 97 to 2003 presentation, laid out as that of PPTX."""

from __future__ import annotations

from thresher.documents.parsers.flow import Lines
from thresher.documents.parsers.ole import read_streams, unpack
from thresher.documents.parsers.ppt_records import Record, descend, persist_directory, record_at, records
from thresher.documents.parsers.surrogates import join_surrogates
from thresher.errors import UnreadableError

_DOCUMENT = "PowerPoint Document"
_SLIDE_LIST, _SLIDE_PERSIST, _SLIDE_ATOM, _SLIDE_INFO = 4080, 1011, 1007, 1017
_TEXT_HEADER, _CHARACTERS, _BYTES, _OUTLINE_REFERENCE = 3999, 4000, 4008, 3998
_FOOTERS, _STRING = 4057, 4026
_TITLES = frozenset([0, 6])
_HIDDEN = 0x0004
_ENCRYPTED_TOKEN = 0xF3D1C4DF
_BREAKS = str.maketrans({"\r": "\n", "\x0b": "\n"})

Texts = list[tuple[int, str]]  # kind (0 and 6 are titles), text


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The presentation's text; hidden slides are left out.

    Raises:
        UnreadableError: broken, encrypted, or all slides are hidden.
    """
    streams = read_streams(data, ("Current User", _DOCUMENT), "PPT")
    if len(streams) < 2:
        raise UnreadableError("broken PPT: there is no document in it")
    token, edit = unpack("<II", streams["Current User"], 12)
    if token == _ENCRYPTED_TOKEN:
        raise UnreadableError("encrypted PPT; remove its password and try again")
    return _Presentation(streams[_DOCUMENT], edit).text()


class _Presentation:
    def __init__(self, data: bytes, edit: int) -> None:
        self._data = data
        document, self._objects = persist_directory(data, edit)
        self._lists: dict[
            int, list[tuple[int, int, Texts]]
        ] = {}  # instance -> (object, slide id, texts of its outline)
        for record in records(data, record_at(data, document)):
            if record.kind == _SLIDE_LIST:
                self._lists[record.instance] = self._slide_list(record)

    def text(self) -> str:
        lines, hidden, footers = Lines(), 0, dict[str, None]()
        notes = {slide_id: number for number, slide_id, _ in self._lists.get(2, [])}
        slides = {number: outline for number, _, outline in self._lists.get(0, [])}
        for count, (number, outline) in enumerate(slides.items(), 1):
            slide = _Slide(self._data, self._object(number), outline)
            hidden += slide.hidden
            if not slide.hidden:
                slide.write(lines, count)
                footers |= dict.fromkeys(slide.footers)
                if slide.notes_id in notes:
                    page = _Slide(self._data, self._object(notes[slide.notes_id]), [])
                    lines.add("\n".join(f"Notes: {text}" for text in ["\n".join(page.bodies)] if text))
        if hidden and not lines:
            raise UnreadableError(f"no text: {hidden} slides of this PPT are hidden and the others empty")
        lines.heading("")
        for footer in footers:
            lines.add(footer)
        return lines.text()

    def _object(self, number: int) -> Record:
        if number not in self._objects:
            raise UnreadableError("broken PPT: a slide is missing")
        return record_at(self._data, self._objects[number])

    def _slide_list(self, record: Record) -> list[tuple[int, int, Texts]]:
        found: list[tuple[int, int, Texts]] = []
        kind = 1
        for atom in records(self._data, record):
            if atom.kind == _SLIDE_PERSIST:
                number, _, _, slide_id = unpack("<4I", self._data, atom.start)
                found.append((number, slide_id, []))
            elif atom.kind == _TEXT_HEADER:
                (kind,) = unpack("<I", self._data, atom.start)
            elif atom.kind in (_CHARACTERS, _BYTES) and found:
                found[-1][2].append((kind, _text(self._data, atom)))
        return found


class _Slide:
    """What is on a slide or a page of notes."""

    def __init__(self, data: bytes, slide: Record, outline: Texts) -> None:
        self.hidden = False
        self.notes_id = 0
        self.titles: list[str] = []
        self.bodies: list[str] = []
        self.footers: list[str] = []
        kind = 4
        for record in descend(data, slide):
            if record.kind == _SLIDE_ATOM:
                (self.notes_id,) = unpack("<I", data, record.start + 16)
            elif record.kind == _SLIDE_INFO:
                self.hidden = bool(unpack("<H", data, record.start + 10)[0] & _HIDDEN)
            elif record.kind == _TEXT_HEADER:
                (kind,) = unpack("<I", data, record.start)
            elif record.kind in (_CHARACTERS, _BYTES):
                self._add(kind, _text(data, record))
            elif record.kind == _OUTLINE_REFERENCE:
                (index,) = unpack("<I", data, record.start)
                if index < len(outline):
                    self._add(*outline[index])
            elif record.kind == _STRING and record.instance == 2 and record.parent == _FOOTERS:
                self.footers.append(_text(data, record))

    def _add(self, kind: int, text: str) -> None:
        if text.strip() not in ("", "*"):  # the place of a slide's number
            (self.titles if kind in _TITLES else self.bodies).append(text)

    def write(self, lines: Lines, number: int) -> None:
        """Title, and the texts in the order of the file."""
        title = " ".join(" ".join(self.titles).split())
        if title:
            lines.heading("")
            lines.add(f"Slide {number}: {title}")
        else:
            lines.heading(f"Slide {number}")
        for body in self.bodies:
            lines.add(body)


def _text(data: bytes, atom: Record) -> str:
    content = data[atom.start : atom.end]
    text = content.decode("latin-1") if atom.kind == _BYTES else content.decode("utf-16-le", "surrogatepass")
    return join_surrogates(text.translate(_BREAKS)).strip("\n")
