"""WordprocessingML events to text: the part of the DOCX parser that knows the vocabulary."""

from __future__ import annotations

from thresher.documents.parsers.flow import Flow
from thresher.documents.parsers.xml_stream import Names

#: (kind, id) of a footnote, endnote or comment -> its text.
Notes = dict[tuple[str, str], str]

_NAMES = Names(
    {
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
        "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
        "http://schemas.openxmlformats.org/officeDocument/2006/math": "m",
        "http://purl.oclc.org/ooxml/officeDocument/math": "m",
        "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    }
)
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
        self._flow = Flow()
        self._note: tuple[str, str] | None = None
        self._skipping = 0  # open elements below (and with) a skipped one
        self._in_text = False
        self._hidden_run = False

    def text(self) -> str:
        """The part's text, a line per paragraph and per table row."""
        return self._flow.text()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
            return
        if name in ("w:t", "m:t"):
            self._in_text = True
        elif name in _MARKS:
            self._write(_MARKS[name])
        else:
            self._structure(name, _NAMES.of(attributes))

    def _structure(self, name: str, attributes: dict[str, str]) -> None:
        if name == "w:p":
            self._flow.open_paragraph()
        elif name in _RUNS:
            self._hidden_run = False
        elif name == "w:vanish":
            self._hidden_run = attributes.get("w:val", "1") not in _OFF
        elif name == "w:numPr":
            self._flow.paragraph.insert(0, "- ")
        elif name == "w:tr":
            self._flow.open_row()
        elif name == "w:tc":
            self._flow.open_cell()
        elif name in _NOTES:
            separator = attributes.get("w:type", "normal") != "normal"
            self._note = None if separator else (_NOTES[name], attributes.get("w:id", ""))
        elif name in _REFERENCES:
            self._flow.behind(self._known_notes.get((_REFERENCES[name], attributes.get("w:id", "")), ""))

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            return
        name = _NAMES[tag]
        if name in ("w:t", "m:t"):
            self._in_text = False
        elif name in _RUNS:
            self._hidden_run = False
        elif name == "w:p":
            self._flow.close_paragraph()
        elif name == "w:tc":
            self._flow.close_cell()
        elif name == "w:tr":
            self._flow.close_row()
        elif name in _NOTES:
            text = self._flow.take().strip()
            if self._note:
                self.notes[self._note] = text

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._in_text and not self._skipping:
            self._write(text)

    def _write(self, text: str) -> None:
        if not self._hidden_run:
            self._flow.write(text)
