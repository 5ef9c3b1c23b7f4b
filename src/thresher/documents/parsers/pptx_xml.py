"""DrawingML events to text: the shapes of a slide, its notes, comments, diagrams and charts."""

from __future__ import annotations

from thresher.documents.parsers.flow import Flow, Row
from thresher.documents.parsers.xml_stream import Names

_NAMES = Names(
    {
        "http://schemas.openxmlformats.org/drawingml/2006/main": "a",
        "http://purl.oclc.org/ooxml/drawingml/main": "a",
        "http://schemas.openxmlformats.org/presentationml/2006/main": "p",
        "http://purl.oclc.org/ooxml/presentationml/main": "p",
        "http://schemas.openxmlformats.org/drawingml/2006/chart": "c",
        "http://purl.oclc.org/ooxml/drawingml/chart": "c",
        "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
    }
)
#: Placeholders that repeat on every slide or show the slide itself.
_SKIPPED_PLACEHOLDERS = frozenset(["sldNum", "dt", "hdr", "sldImg"])
_TITLES = frozenset(["title", "ctrTitle"])
_MARKS = {"a:br": "\n", "a:tab": "\t"}
_OPEN = {"a:p": Flow.open_paragraph, "a:tr": Flow.open_row, "a:tc": Flow.open_cell}
_CLOSE = {"a:p": Flow.close_paragraph, "p:text": Flow.close_paragraph, "a:tr": Flow.close_row, "a:tc": Flow.close_cell}
_FALSE = frozenset(["0", "false", "off"])


class ShapesReader:
    """Collects the text of one part."""

    def __init__(self) -> None:
        self.title = ""
        self.footers: list[str] = []
        self.hidden = False
        self._flow = Flow()
        self._apart: Flow | None = None  # of a shape whose text does not stand with the rest
        self._placeholder = ""  # type of the shape at work
        self._skipping = 0
        self._in_text = False

    def text(self) -> str:
        """All but title and footer, a line per paragraph and per table row."""
        return self._flow.text()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = _NAMES[tag]
        slide_number = name == "a:fld" and attributes.get("type") == "slidenum"
        if self._skipping or name == "mc:Fallback" or slide_number:
            self._skipping += 1
        elif name in ("a:t", "p:text"):
            self._in_text = True
            if name == "p:text":  # of a comment, which has no paragraphs
                self._flow.open_paragraph()
        elif name in _MARKS:
            self._target.write(_MARKS[name])
        elif name in _OPEN:
            _OPEN[name](self._target)
        elif name == "p:ph":
            self._place(attributes.get("type", "obj"))
        elif name == "p:sld":
            self.hidden = attributes.get("show") in _FALSE

    def _place(self, placeholder: str) -> None:
        self._placeholder = placeholder
        if placeholder in _TITLES or placeholder == "ftr" or placeholder in _SKIPPED_PLACEHOLDERS:
            self._apart = Flow()

    @property
    def _target(self) -> Flow:
        return self._apart or self._flow

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            return
        name = _NAMES[tag]
        if name in ("a:t", "p:text"):
            self._in_text = False
        if name in _CLOSE:
            _CLOSE[name](self._target)
        elif name == "p:sp":
            self._end_shape()

    def _end_shape(self) -> None:
        text = self._apart.text() if self._apart else ""
        if self._placeholder in _TITLES:
            self.title = " ".join([*filter(None, [self.title]), *text.split()])
        elif self._placeholder == "ftr" and text:
            self.footers.append(text)
        self._placeholder, self._apart = "", None

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._in_text and not self._skipping:
            self._target.write(text.replace("\v", "\n"))


class ChartReader:
    """Collects a chart's titles, and each series as a row: its name and its cached values, as the categories above."""

    def __init__(self) -> None:
        self._titles = Flow()
        self._rows: list[Row] = []
        self._categories = Row()
        self._row: Row | None = None  # takes the values at work
        self._text: list[str] | None = None

    def text(self) -> str:
        """Titles, categories, series."""
        rows = [self._categories.text(), *(row.text() for row in self._rows)]
        return "\n".join(line for line in (self._titles.text(), *rows) if line.strip())

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "a:p":
            self._titles.open_paragraph()
        elif name in ("a:t", "c:v"):
            self._text = []
        elif name == "c:ser":
            self._rows.append(Row())
            self._row = self._rows[-1]
        elif name in ("c:cat", "c:xVal"):
            self._row = self._categories if len(self._rows) == 1 else None
            if self._row:
                self._categories.add("")  # above the names of the series

    def end(self, tag: str) -> None:
        """An element ends."""
        name = _NAMES[tag]
        if name == "a:p":
            self._titles.close_paragraph()
        elif name == "a:t":
            self._titles.write("".join(self._text or []))
            self._text = None
        elif name == "c:v":
            if self._row:
                self._row.add("".join(self._text or []))
            self._text = None
        elif name in ("c:cat", "c:xVal"):
            self._row = self._rows[-1] if self._rows else None
        elif name == "c:ser":
            self._row = None

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._text is not None:
            self._text.append(text)
