"""XLS: the sheets of an Excel 5.0 to 2003 workbook, through xlrd, laid out as those of XLSX."""

from __future__ import annotations

import io

import xlrd

from thresher.documents.parsers.flow import Lines, Row
from thresher.documents.parsers.number_format import BUILT_IN, Format, compile_format
from thresher.errors import UnreadableError


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The workbook's text; hidden sheets are left out.

    Raises:
        UnreadableError: encrypted, broken, or all sheets with content are hidden.
    """
    try:
        with xlrd.open_workbook(
            file_contents=data, logfile=io.StringIO(), on_demand=True, formatting_info=True, ragged_rows=True
        ) as book:
            return _read(book)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # the library fails in many ways on broken files
        if "encrypted" in str(error):
            raise UnreadableError("encrypted XLS; remove its password and try again") from error
        raise UnreadableError(f"broken XLS: {str(error) or type(error).__name__}") from error


def _read(book: xlrd.Book) -> str:
    shower = _Shower(book)
    text = Lines()
    hidden = 0
    for number, name in enumerate(book.sheet_names()):
        sheet = book.sheet_by_index(number)
        if sheet.visibility:
            hidden += 1
        else:
            text.heading(f"Sheet: {name}")
            _add_sheet(text, sheet, shower)
        book.unload_sheet(number)
    if hidden and not text:
        raise UnreadableError("no text: the sheets of this XLS are hidden or empty")
    return text.text()


def _add_sheet(text: Lines, sheet: xlrd.sheet.Sheet, shower: _Shower) -> None:
    for number in range(sheet.nrows):
        if not sheet.row_len(number):
            continue
        row = Row()
        types, values = sheet.row_types(number), sheet.row_values(number)
        for column, (kind, value) in enumerate(zip(types, values, strict=True)):
            row.add(shower.show(kind, value, sheet.cell_xf_index(number, column)) if value != "" else "")
        text.add(row.text())
    for (row_number, column), note in sorted(sheet.cell_note_map.items()):
        text.add(f"Comment on {xlrd.cellname(row_number, column)}: {' '.join(note.text.split())}")


class _Shower:
    """Shows values of cells."""

    def __init__(self, book: xlrd.Book) -> None:
        self._book = book
        self._formats: dict[int, Format] = {}

    def show(self, kind: int, value: object, style: int) -> str:
        """A cell's value as the sheet shows it."""
        if kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE) and isinstance(value, float):
            return self._format(style)(value)
        if kind == xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if value else "FALSE"
        if kind == xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(value, "#ERROR"))
        return " ".join(str(value).split())

    def _format(self, style: int) -> Format:
        if style not in self._formats:
            key = self._book.xf_list[style].format_key
            code = BUILT_IN.get(key) or self._book.format_map[key].format_str
            self._formats[style] = compile_format(code, from_1904=bool(self._book.datemode))
        return self._formats[style]
