"""XLSX and XLSM: the sheets of an Excel workbook, read from their XML as streams.

Each sheet begins with a line ``Sheet: name``; a row is a line, its cells parted by tabs. Cells hold what the sheet
shows: stored results of formulas, dates and numbers in their formats. Text boxes and comments follow the cells.
Hidden sheets are left out.
"""

from __future__ import annotations

from thresher.documents.parsers.flow import Lines
from thresher.documents.parsers.package import Package
from thresher.documents.parsers.pptx_xml import ShapesReader
from thresher.documents.parsers.xlsx_xml import CommentsReader, SheetReader, StringsReader, StylesReader, WorkbookReader
from thresher.errors import UnreadableError


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The workbook's text.

    Raises:
        UnreadableError: a broken, encrypted or bomb-like container, or all sheets with content are hidden.
    """
    package = Package(data, "XLSX")
    main = package.main_part("xl/workbook.xml")
    relations = package.relations(main)
    workbook, strings, styles = WorkbookReader(), StringsReader(), StylesReader()
    package.feed(main, workbook.start)
    for link in relations:
        if link.kind == "sharedStrings":
            package.feed(link.target, strings.start, strings.end, strings.characters)
        elif link.kind == "styles":
            package.feed(link.target, styles.start)
    targets = {link.id: link for link in relations}
    formats = styles.formats(from_1904=workbook.from_1904)
    text = Lines()
    for sheet in workbook.sheets:
        if sheet.relation not in targets:
            raise UnreadableError(f"broken XLSX: the sheet {sheet.name!r} is missing")
        link = targets[sheet.relation]
        if link.kind == "worksheet" and not sheet.hidden:  # others are charts and macros
            text.heading(f"Sheet: {sheet.name}")
            reader = SheetReader(text, strings.strings, formats)
            package.feed(link.target, reader.start, reader.end, reader.characters)
            _add_what_is_around(text, package, link.target)
    if not text and any(sheet.hidden for sheet in workbook.sheets):
        raise UnreadableError("no text: the sheets of this XLSX are hidden or empty")
    return text.text()


def _add_what_is_around(text: Lines, package: Package, sheet: str) -> None:
    for link in package.relations(sheet):
        if link.kind == "drawing":
            shapes = ShapesReader()
            package.feed(link.target, shapes.start, shapes.end, shapes.characters)
            text.add(shapes.text())
        elif link.kind == "comments":
            comments = CommentsReader(text)
            package.feed(link.target, comments.start, comments.end, comments.characters)
