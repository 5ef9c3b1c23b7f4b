"""OpenDocument XML events to text: the part of the parser that knows the vocabulary (OpenDocument 1.3, part 3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from thresher.documents.parsers.flow import Flow, check_nesting
from thresher.documents.parsers.xml_stream import Names

_VOCABULARIES = ("office", "text", "table", "style", "presentation")
_NAMES = Names(
    {f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0": name for name in _VOCABULARIES}
    | {f"http://openoffice.org/2000/{name}": name for name in _VOCABULARIES}  # OpenOffice 1
    | {
        "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw",
        "http://openoffice.org/2000/drawing": "draw",
        "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg",
    }
)
#: Left out with all they hold: deleted text, numbers of notes, pronunciation, forms, scripts, objects, descriptions.
_SKIPPED = frozenset(
    [
        *("text:tracked-changes", "table:tracked-changes", "text:note-citation", "text:ruby-text", "text:hidden-text"),
        *("office:forms", "office:scripts", "office:settings", "office:meta", "draw:object", "draw:object-ole"),
        *("svg:title", "svg:desc"),
    ]
)
#: Elements that a style can hide -> the family of their styles.
_FAMILIES = {"text:p": "paragraph", "text:h": "paragraph", "text:span": "text"} | {
    "table:table": "table",
    "draw:page": "drawing-page",
}
_HIDING = (("text:display", "none"), ("table:display", "false"), ("presentation:visibility", "hidden"))
_HEADERS = frozenset(["style:header", "style:header-left", "style:header-first"])
_FOOTERS = frozenset(["style:footer", "style:footer-left", "style:footer-first"])
_NOTES = frozenset(["text:note-body", "office:annotation", "text:footnote-body", "text:endnote-body"])
_VALUES = ("office:string-value", "office:date-value", "office:time-value", "office:value", "office:boolean-value")
_MARKS = {"text:tab": "\t", "text:tab-stop": "\t", "text:line-break": "\n"}
_SPACES = re.compile(r"[ \t\r\n]+")
#: More spaces in a row tell nothing.
_MAX_SPACES = 16
_BODIES = frozenset(["office:text", "office:spreadsheet", "office:presentation"])

Attributes = dict[str, str]
_Finish = Callable[[str], None]


class ContentReader:
    """Collects the text of content.xml, the headers and footers of styles.xml, or both of a flat file."""

    def __init__(self) -> None:
        self.body = ""  # the kind of document
        self.headers: list[str] = []
        self.footers: list[str] = []
        self.hidden = 0  # sheets and slides left out
        self._flow = Flow()
        self._apart: list[tuple[int, Flow, _Finish]] = []  # depth, the flow around, what to do with the text at the end
        self._depth = 0
        self._skipping = 0
        self._style = ("", "")  # family and name of the one being defined
        self._hiding_styles: set[tuple[str, str]] = set()
        self._repeated: list[int] = []  # of the open rows and cells
        self._values: list[str] = []  # of the open cells
        self._items: list[bool] = []  # per open list item: its mark is still to be written
        self._slides = 0
        self._title = ""

    def text(self) -> str:
        """The content, a line per paragraph and per table row."""
        return self._flow.text()

    def start(self, tag: str, attributes: Attributes) -> None:
        """An element begins."""
        name = _NAMES[tag]
        if self._skipping or name in _SKIPPED:
            self._skipping += 1
            return
        self._depth += 1
        named = _NAMES.of(attributes) if attributes else attributes
        if named and self._is_hidden(name, named):
            self._depth -= 1
            self._skipping = 1
            self.hidden += name in ("table:table", "draw:page")
            self._slides += name == "draw:page"
        elif name in _MARKS:
            self._flow.write(_MARKS[name])
        elif name in _START:
            _START[name](self, named)
        elif name in _NOTES:
            self._collect(self._flow.behind)
        elif name in _HEADERS:
            self._collect(self.headers.append)
        elif name in _FOOTERS:
            self._collect(self.footers.append)
        elif name in _BODIES:
            self.body = name
        elif name.endswith("properties") and any(named.get(key) == value for key, value in _HIDING):
            self._hiding_styles.add(self._style)

    def end(self, tag: str) -> None:
        """An element ends."""
        if self._skipping:
            self._skipping -= 1
            return
        name = _NAMES[tag]
        if name in _END:
            _END[name](self)
        if self._apart and self._apart[-1][0] == self._depth:
            _, around, finish = self._apart.pop()
            inside, self._flow = self._flow, around
            finish(inside.text())
        self._depth -= 1

    def characters(self, text: str) -> None:
        """Character data of the open element."""
        if self._skipping or not self._flow.in_paragraph:
            return
        text = _SPACES.sub(" ", text)
        written = self._flow.paragraph
        if text[0] == " " and (not written or written[-1][-1:].isspace()):
            text = text[1:]
        if text:
            self._flow.write(text)

    def _is_hidden(self, name: str, attributes: Attributes) -> bool:
        if name in _FAMILIES:
            vocabulary = name.partition(":")[0]
            style = attributes.get(f"{vocabulary}:style-name", "")
            return (_FAMILIES[name], style) in self._hiding_styles
        unseen_section = name == "text:section" and attributes.get("text:display") == "none"
        return unseen_section or attributes.get("presentation:placeholder") == "true"

    def _collect(self, finish: _Finish) -> None:
        """What the element at work holds goes into a flow of its own and, at its end, to ``finish``."""
        check_nesting(len(self._apart))
        self._apart.append((self._depth, self._flow, finish))
        self._flow = Flow()

    def _start_style(self, attributes: Attributes) -> None:
        self._style = (attributes.get("style:family", ""), attributes.get("style:name", ""))

    def _start_master_styles(self, _attributes: Attributes) -> None:
        self._collect(lambda _placeholders: None)

    def _start_paragraph(self, _attributes: Attributes) -> None:
        mark = "- " if self._items and self._items[-1] else ""
        if self._items:
            self._items[-1] = False
        self._flow.open_paragraph(mark)

    def _end_paragraph(self) -> None:
        self._flow.close_paragraph()

    def _start_spaces(self, attributes: Attributes) -> None:
        self._flow.write(" " * min(_count(attributes.get("text:c", "1")), _MAX_SPACES))

    def _start_hidden_paragraph(self, attributes: Attributes) -> None:
        if attributes.get("text:is-hidden") == "true":
            self._flow.paragraph.clear()

    def _start_item(self, _attributes: Attributes) -> None:
        self._items.append(True)

    def _end_item(self) -> None:
        self._items.pop()

    def _start_table(self, attributes: Attributes) -> None:
        if self.body == "office:spreadsheet" and not self._repeated:
            self._flow.lines.heading(f"Sheet: {attributes.get('table:name', '')}")

    def _start_row(self, attributes: Attributes) -> None:
        self._repeated.append(_count(attributes.get("table:number-rows-repeated", "1")))
        self._flow.open_row()

    def _end_row(self) -> None:
        self._flow.close_row(self._repeated.pop())

    def _start_cell(self, attributes: Attributes) -> None:
        self._repeated.append(_count(attributes.get("table:number-columns-repeated", "1")))
        value = next((attributes[key] for key in _VALUES if key in attributes), "") if attributes else ""
        self._values.append(value)
        self._flow.open_cell()

    def _end_cell(self) -> None:
        self._flow.close_cell(self._repeated.pop(), otherwise=self._values.pop())

    def _start_covered_cell(self, attributes: Attributes) -> None:
        self._flow.skip_cells(_count(attributes.get("table:number-columns-repeated", "1")))
        self._collect(lambda _under_a_merged_cell: None)

    def _start_slide(self, _attributes: Attributes) -> None:
        self._slides += 1
        self._title = ""
        self._collect(self._finish_slide)

    def _finish_slide(self, text: str) -> None:
        lines = self._flow.lines
        if self._title:
            lines.heading("")
            lines.add(f"Slide {self._slides}: {self._title}")
        else:
            lines.heading(f"Slide {self._slides}")
        lines.add(text)

    def _start_frame(self, attributes: Attributes) -> None:
        if attributes.get("presentation:class") == "title":
            self._collect(self._finish_title)

    def _finish_title(self, text: str) -> None:
        self._title = " ".join(text.split())

    def _start_speaker_notes(self, _attributes: Attributes) -> None:
        self._collect(lambda text: self._flow.add(f"Notes: {text}" if text else ""))

    def _start_footer_declaration(self, _attributes: Attributes) -> None:
        self._collect(self.footers.append)
        self._flow.open_paragraph()


def _count(text: str) -> int:
    """A repetition as files give it; nonsense is 1."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


_START: dict[str, Callable[[ContentReader, Attributes], None]] = {
    "style:style": ContentReader._start_style,
    "office:master-styles": ContentReader._start_master_styles,
    "text:p": ContentReader._start_paragraph,
    "text:h": ContentReader._start_paragraph,
    "text:s": ContentReader._start_spaces,
    "text:hidden-paragraph": ContentReader._start_hidden_paragraph,
    "text:list-item": ContentReader._start_item,
    "table:table": ContentReader._start_table,
    "table:table-row": ContentReader._start_row,
    "table:table-cell": ContentReader._start_cell,
    "table:covered-table-cell": ContentReader._start_covered_cell,
    "draw:page": ContentReader._start_slide,
    "draw:frame": ContentReader._start_frame,
    "presentation:notes": ContentReader._start_speaker_notes,
    "presentation:footer-decl": ContentReader._start_footer_declaration,
}
_END: dict[str, Callable[[ContentReader], None]] = {
    "text:p": ContentReader._end_paragraph,
    "text:h": ContentReader._end_paragraph,
    "text:list-item": ContentReader._end_item,
    "table:table-row": ContentReader._end_row,
    "table:table-cell": ContentReader._end_cell,
    "presentation:footer-decl": ContentReader._end_paragraph,
}
