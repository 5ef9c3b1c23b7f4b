"""WordprocessingML events to text: the part of the DOCX parser that knows the vocabulary."""

from __future__ import annotations

from xml.parsers import expat

#: (kind, id) of a footnote, endnote or comment -> its text.
Notes = dict[tuple[str, str], str]

_WORD = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
_MATH = (
    "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "http://purl.oclc.org/ooxml/officeDocument/math",
)
_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
#: Left out with all they hold: deletions, moved-away text, field codes, the second copy of a drawing, tab positions.
_SKIPPED = frozenset(["w:del", "w:moveFrom", "w:instrText", "w:delText", "mc:Fallback", "w:tabs"])
_MARKS = {"w:tab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-", "w:ptab": "\t"}
_REFERENCES = {"w:footnoteReference": "footnote", "w:endnoteReference": "endnote", "w:commentReference": "comment"}
_NOTES = {"w:footnote": "footnote", "w:endnote": "endnote", "w:comment": "comment"}
_RUNS = frozenset(["w:r", "m:r"])
_OFF = frozenset(["0", "false", "off"])


class PartReader:
    """Collects the text of one part; ``notes`` holds those defined in it."""

    def __init__(self, known_notes: Notes) -> None:
        self.notes: Notes = {}
        self._known_notes = known_notes
        self._lines: list[str] = []
        self._paragraphs: list[list[str]] = [[]]  # text boxes nest paragraphs in paragraphs
        self._references: list[str] = []
        self._cells: list[list[str]] = []  # finished paragraphs of the cell at work, per open cell
        self._rows: list[list[str]] = []  # finished cells of the row at work, per open row
        self._note: tuple[str, str] | None = None
        self._skipping = 0  # open elements below (and with) a skipped one
        self._in_text = False
        self._hidden_run = False

    def text(self) -> str:
        """The part's text, a line per paragraph and per table row."""
        return "\n".join(self._lines)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = _short(tag)
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
            return
        if name in ("w:t", "m:t"):
            self._in_text = True
        elif name in _MARKS:
            self._write(_MARKS[name])
        else:
            self._structure(name, {_short(key): value for key, value in attributes.items()})

    def _structure(self, name: str, attributes: dict[str, str]) -> None:
        if name == "w:p":
            self._paragraphs.append([])
        elif name in _RUNS:
            self._hidden_run = False
        elif name == "w:vanish":
            self._hidden_run = attributes.get("w:val", "1") not in _OFF
        elif name == "w:numPr":
            self._paragraphs[-1].insert(0, "- ")
        elif name == "w:tr":
            self._rows.append([])
        elif name == "w:tc":
            self._cells.append([])
        elif name in _NOTES:
            separator = attributes.get("w:type", "normal") != "normal"
            self._note = None if separator else (_NOTES[name], attributes.get("w:id", ""))
        elif name in _REFERENCES:
            note = self._known_notes.get((_REFERENCES[name], attributes.get("w:id", "")))
            self._references.extend([note] if note else [])

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            return
        name = _short(tag)
        if name in ("w:t", "m:t"):
            self._in_text = False
        elif name in _RUNS:
            self._hidden_run = False
        elif name == "w:p":
            self._end_paragraph("".join(self._paragraphs.pop()))
        elif name == "w:tc":
            cell = self._cells.pop()
            (self._rows[-1] if self._rows else self._lines).append(" ".join(cell).replace("\n", " "))
        elif name == "w:tr":
            self._emit("\t".join(self._rows.pop()))
        elif name in _NOTES:
            if self._note:
                self.notes[self._note] = self.text()
            self._lines = []

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._in_text and not self._skipping:
            self._write(text)

    def _write(self, text: str) -> None:
        if not self._hidden_run:
            self._paragraphs[-1].append(text)

    def _end_paragraph(self, text: str) -> None:
        if text.strip() not in ("", "-"):
            self._emit(text)
        references, self._references = self._references, []
        for note in references:
            self._emit(note)

    def _emit(self, text: str) -> None:
        """A finished line goes to the cell at work, or to the part."""
        if text.strip():
            (self._cells[-1] if self._cells else self._lines).append(text)


def parse_part(reader: PartReader) -> expat.XMLParserType:
    """An XML parser that tells ``reader`` what it finds."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    return parser


def _short(tag: str) -> str:
    """``"<namespace> p"`` as ``"w:p"``; names of other vocabularies come out as ``":p"``."""
    namespace, _, local = tag.rpartition(" ")
    if namespace in _WORD:
        return f"w:{local}"
    if namespace in _MATH:
        return f"m:{local}"
    return f"mc:{local}" if namespace == _COMPATIBILITY else f":{local}"
