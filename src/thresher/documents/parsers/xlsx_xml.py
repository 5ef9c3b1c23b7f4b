"""SpreadsheetML events to text: the part of the XLSX parser that knows the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.documents.parsers.flow import Lines, Row
from thresher.documents.parsers.number_format import BUILT_IN, Format, compile_format, general
from thresher.documents.parsers.xml_stream import Names
from thresher.errors import UnreadableError

_NAMES = Names(
    {
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "x",
        "http://purl.oclc.org/ooxml/spreadsheetml/main": "x",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "r",
        "http://purl.oclc.org/ooxml/officeDocument/relationships": "r",
    }
)
_TRUE = frozenset(["1", "true", "on"])
#: Excel's own words around a threaded comment, kept for programs that do not know those.
_THREADED = "[Threaded comment]"

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One of the workbook's sheets."""

    name: str
    relation: str
    hidden: bool


class WorkbookReader:
    """The list of sheets, and from when days are counted."""

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []
        self.from_1904 = False

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "x:sheet":
            relation = _NAMES.of(attributes).get("r:id", "")
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append(Sheet(attributes.get("name", ""), relation, hidden))
        elif name == "x:workbookPr":
            self.from_1904 = attributes.get("date1904") in _TRUE


class StringsReader:
    """The strings that cells refer to by number."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self._pieces: list[str] = []
        self._in_text = False
        self._phonetic = False

    def start(self, tag: str, _attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "x:si":
            self._pieces = []
        elif name == "x:t":
            self._in_text = not self._phonetic
        elif name == "x:rPh":
            self._phonetic = True

    def end(self, tag: str) -> None:
        """An element ends."""
        name = _NAMES[tag]
        if name == "x:si":
            self.strings.append(_one_line("".join(self._pieces)))
        elif name == "x:t":
            self._in_text = False
        elif name == "x:rPh":
            self._phonetic = False

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._in_text:
            self._pieces.append(text)


class StylesReader:
    """The number formats of cells."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._used: list[int] = []
        self._in_cell_formats = False

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "x:numFmt":
            self._codes[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name in ("x:cellXfs", "x:cellStyleXfs", "x:cellStyles", "x:dxfs"):
            self._in_cell_formats = name == "x:cellXfs"
        elif name == "x:xf" and self._in_cell_formats:
            self._used.append(_number(attributes.get("numFmtId")))

    def formats(self, *, from_1904: bool) -> list[Format]:
        """What shows numbers, by the number of a cell's style."""
        codes = BUILT_IN | self._codes
        compiled = {id_: compile_format(codes.get(id_, "General"), from_1904=from_1904) for id_ in set(self._used)}
        return [compiled[id_] for id_ in self._used]


class SheetReader:
    """Writes the rows of a sheet to ``lines``."""

    def __init__(self, lines: Lines, strings: list[str], formats: list[Format]) -> None:
        self._lines = lines
        self._strings = strings
        self._formats = formats
        self._row = Row()
        self._column = 0  # of the last cell, from 1
        self._columns: dict[str, int] = {}
        self._cell: Attributes = {}
        self._value: list[str] = []
        self._formula: list[str] = []
        self._text: list[str] | None = None

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "x:c":
            self._cell, self._value, self._formula = attributes, [], []
        elif name in ("x:v", "x:t"):
            self._text = self._value
        elif name == "x:f":
            self._text = self._formula
        elif name == "x:row":
            self._row, self._column = Row(), 0

    def end(self, tag: str) -> None:
        """An element ends."""
        name = _NAMES[tag]
        if name in ("x:v", "x:t", "x:f"):
            self._text = None
        elif name == "x:c":
            self._end_cell()
        elif name == "x:row":
            self._lines.add(self._row.text())

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._text is not None:
            self._text.append(text)

    def _end_cell(self) -> None:
        column = self._column_of(self._cell.get("r", ""))
        if column > self._column + 1:
            self._row.add("", column - self._column - 1)
        self._column = max(column, self._column + 1)
        text = ""
        if self._value:
            text = self._shown("".join(self._value))
        elif self._formula:  # never computed
            text = _one_line("=" + "".join(self._formula))
        self._row.add(text)

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        if not letters:
            return self._column + 1
        if letters not in self._columns:
            number = 0
            for letter in letters[:4]:
                number = number * 26 + ord(letter.upper()) - 64
            self._columns[letters] = number
        return self._columns[letters]

    def _shown(self, value: str) -> str:
        kind = self._cell.get("t", "n")
        if kind == "s":
            return self._string(value)
        if kind == "b":
            return "TRUE" if value in _TRUE else "FALSE"
        return self._number(value) if kind == "n" else _one_line(value)

    def _string(self, number: str) -> str:
        try:
            return self._strings[int(number)]
        except (ValueError, IndexError) as error:
            raise UnreadableError(f"broken XLSX: there is no shared string {number[:20]}") from error

    def _number(self, value: str) -> str:
        style = _number(self._cell.get("s"))
        show = self._formats[style] if style < len(self._formats) else general
        if show is general and len(value) < 11 and value.isdigit():
            return value
        try:
            return show(float(value))
        except (ValueError, OverflowError):
            return _one_line(value)


class CommentsReader:
    """Writes the comments of a sheet to ``lines``."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._cell = ""
        self._text: list[str] = []
        self._in_text = False

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if name == "x:comment":
            self._cell, self._text = attributes.get("ref", ""), []
        self._in_text = name == "x:t"

    def end(self, tag: str) -> None:
        """An element ends."""
        self._in_text = False
        if _NAMES[tag] == "x:comment":
            text = "".join(self._text)
            if text.startswith(_THREADED):
                text = text.partition("Comment:")[2]
            if text.strip():
                self._lines.add(f"Comment on {self._cell}: {_one_line(text)}")

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._in_text:
            self._text.append(text)


def _one_line(text: str) -> str:
    return " ".join(text.split()) if "\n" in text or "\t" in text or "\r" in text else text


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
