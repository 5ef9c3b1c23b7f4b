"""Where the pieces of an RTF document go: paragraphs, table cells and rows, and bytes in code pages."""

from __future__ import annotations

from thresher.documents.parsers.flow import Lines, Row
from thresher.documents.parsers.surrogates import join_surrogates

#: ``\fcharset`` -> Python codec (RTF 1.9.1, "Font Family"); 0 and 1 mean the document's own code page.
CHARSETS: dict[int, str] = (
    {77: "mac_roman", 78: "cp932", 79: "cp949", 80: "gbk", 81: "big5", 83: "mac_greek", 85: "mac_turkish"}
    | {86: "mac_cyrillic", 88: "mac_latin2", 89: "mac_cyrillic", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk"}
    | {136: "big5", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257"}
    | {204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850"}
)
_OTHER_CODE_PAGES = {
    0: "cp1252",
    708: "iso8859_6",
    936: "gbk",
    10000: "mac_roman",
    10007: "mac_cyrillic",
    65001: "utf-8",
}


def codec_of(code_page: int) -> str:
    """The Python codec of a Windows code page; cp1252 where there is none."""
    name = _OTHER_CODE_PAGES.get(code_page, f"cp{code_page}")
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name


class TextBuilder:
    """The text of a document, or of a note, header or footer in it."""

    def __init__(self) -> None:
        self.in_table = False  # the paragraph at work is part of a cell
        self._lines = Lines()
        self._pieces: list[str] = []
        self._bytes = bytearray()  # not yet decoded: characters may have several
        self._codec = ""
        self._mark = ""
        self._behind: list[str] = []
        self._cell: list[str] = []
        self._row: Row | None = None

    def write_bytes(self, data: bytes, codec: str) -> None:
        """Text in a code page."""
        if codec != self._codec:
            self._decode()
            self._codec = codec
        self._bytes += data

    def write(self, text: str) -> None:
        """Text."""
        self._decode()
        self._pieces.append(text)

    def behind(self, note: str) -> None:
        """A note to stand behind the paragraph at work."""
        self._behind.append(note)

    def mark_item(self) -> None:
        """The paragraph at work is a list item."""
        self._mark = "- "

    def end_paragraph(self) -> None:
        """The paragraph at work is complete."""
        if not self.in_table:
            self.end_row()
        self._decode()
        text, mark = "".join(self._pieces), self._mark
        self._pieces, self._mark = [], ""
        lines = [mark + text] if text.strip() else []
        lines += self._behind
        self._behind = []
        for line in lines:
            if self.in_table:
                self._cell.append(line)
            else:
                self._lines.add(line)

    def end_cell(self) -> None:
        """The cell at work is complete."""
        self.in_table = True
        self.end_paragraph()
        self._row = self._row or Row()
        self._row.add(" ".join(self._cell))
        self._cell = []

    def end_row(self) -> None:
        """The row at work, if any, is complete."""
        row, self._row = self._row, None
        if row:
            self._lines.add(row.text())
        if self._cell:  # paragraphs said to be of a table, without the end of a cell
            cell, self._cell = self._cell, []
            for line in cell:
                self._lines.add(line)

    def text(self) -> str:
        """All of it, once it is complete."""
        self.end_paragraph()
        self.end_row()
        return join_surrogates(self._lines.text())

    def _decode(self) -> None:
        if self._bytes:
            self._pieces.append(self._bytes.decode(self._codec, "replace"))
            self._bytes.clear()
