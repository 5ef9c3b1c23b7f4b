"""The structure of a Word 97 to 2003 document: where its characters are, and what is said of them ([MS-DOC]).

The text lies in pieces, in two encodings. It is put together with one Python character per UTF-16 unit, because
everything else refers to it by the number of the unit ("CP"). Properties refer to byte offsets ("FC") instead.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from thresher.documents.parsers.flow import MAX_TEXT_CHARACTERS
from thresher.documents.parsers.ole import unpack
from thresher.errors import UnreadableError

_WORD_97 = 0xC0
_PAGE_BYTES = 512
_SUBDOCUMENTS = ("main", "footnotes", "headers", "macros", "comments", "endnotes", "text boxes", "header text boxes")
_COMPRESSED = 0x40000000
_LIST = 0x460B
_NO_LIST = (_LIST, 0xF801)
#: Properties (sprmCFRMarkDel, sprmCFVanish, sprmPFInTable, sprmPFTtp, sprmPIlfo) -> what they make of a character.
_MEANINGS = {0x0800: "hidden", 0x083C: "hidden", 0x2416: "in table", 0x2417: "row end", _LIST: "list item"}
#: Styles that are the same in all documents: they are numbered, not listed.
_HEADINGS = range(1, 10)
_NUMBERED = frozenset(["list item"])
_OPERAND_BYTES = (1, 1, 2, 4, 2, 2, -1, 3)  # by the property's highest three bits; -1: told by the first byte
#: Tables of the file information block.
_CHARACTER_PROPERTIES, _PARAGRAPH_PROPERTIES, _PIECES = 12, 13, 33


_Runs = Iterator[tuple[int, int, int, bytes]]  # first byte, last byte, style, properties


@dataclass(frozen=True, slots=True)
class _Piece:
    cp: int
    length: int  # characters
    fc: int
    width: int  # bytes a character


class WordFile:
    """A Word document's text and the tables about it.

    Raises:
        UnreadableError: encrypted, older than Word 97, or broken.
    """

    def __init__(self, document: bytes, tables: dict[str, bytes]) -> None:
        self._document = document
        identifier, version = unpack("<HH", document, 0)
        (bits,) = unpack("<H", document, 10)
        if identifier != 0xA5EC or version < _WORD_97:
            raise UnreadableError("a document of Word 95 or older; save it as .docx")
        if bits & 0x8100:
            raise UnreadableError("encrypted DOC; remove its password and try again")
        self._table = tables.get("1Table" if bits & 0x0200 else "0Table", b"")
        lengths = unpack("<8i", document, 76)
        self._starts = {name: sum(max(0, n) for n in lengths[:place]) for place, name in enumerate(_SUBDOCUMENTS)}
        self._lengths = dict(zip(_SUBDOCUMENTS, lengths, strict=True))
        self._pieces = self._read_pieces()
        self.characters = self._read_characters()
        size = len(self.characters)
        self.hidden = bytearray(size)  # these have a 1 where a character is so
        self.marks = {"hidden": self.hidden} | {kind: bytearray(size) for kind in set(_MEANINGS.values()) - {"hidden"}}
        self._apply(_CHARACTER_PROPERTIES, _character_runs)
        self._apply(_PARAGRAPH_PROPERTIES, _paragraph_runs)

    def span(self, subdocument: str) -> tuple[int, int]:
        """First and last CP (exclusive) of one of the documents in the document."""
        start = min(self._starts[subdocument], len(self.characters))
        return start, min(start + max(0, self._lengths[subdocument]), len(self.characters))

    def positions(self, table: int, item_bytes: int) -> list[int]:
        """The CPs of a table of positions that have ``item_bytes`` of data each; empty where there is none."""
        data = self._table_bytes(table)
        count = (len(data) - 4) // (4 + item_bytes) if len(data) >= 4 else -1
        return list(unpack(f"<{count + 1}I", data, 0))

    def _table_bytes(self, number: int) -> bytes:
        offset, length = unpack("<II", self._document, 154 + 8 * number)
        if length and offset + length > len(self._table):
            raise UnreadableError("broken DOC: a table is missing (a cut file?)")
        return self._table[offset : offset + length]

    def _read_pieces(self) -> list[_Piece]:
        data = self._table_bytes(_PIECES)
        offset = 0
        while data[offset : offset + 1] == b"\1":
            offset += 3 + unpack("<H", data, offset + 1)[0]
        if data[offset : offset + 1] != b"\2":
            raise UnreadableError("broken DOC: there is no table of its text")
        (length,) = unpack("<I", data, offset + 1)
        count = (length - 4) // 12
        cps = unpack(f"<{max(0, count) + 1}I", data, offset + 5)
        if list(cps) != sorted(cps):
            raise UnreadableError("broken DOC: the table of its text is out of order")
        if cps[-1] > MAX_TEXT_CHARACTERS:
            raise UnreadableError(f"its text has more than {MAX_TEXT_CHARACTERS:,} characters")
        pieces = []
        for number in range(count):
            (fc,) = unpack("<I", data, offset + 5 + 4 * (count + 1) + 8 * number + 2)
            compressed = bool(fc & _COMPRESSED)
            fc &= _COMPRESSED - 1
            length = cps[number + 1] - cps[number]
            pieces.append(_Piece(cps[number], length, fc // 2 if compressed else fc, 1 if compressed else 2))
        return pieces

    def _read_characters(self) -> str:
        parts = []
        for piece in self._pieces:
            data = self._document[piece.fc : piece.fc + piece.length * piece.width]
            if len(data) < piece.length * piece.width:
                raise UnreadableError("broken DOC: a part of its text is missing (a cut file?)")
            if piece.width == 1:
                parts.append(data.decode("cp1252", "replace"))
            else:
                parts.append("".join(map(chr, struct.unpack(f"<{piece.length}H", data))))
        return "".join(parts)

    def _apply(self, table: int, runs: Callable[[bytes], _Runs]) -> None:
        """Set the flags that the pages of a table give to their runs of bytes."""
        data = self._table_bytes(table)
        count = (len(data) - 4) // 8
        if count < 1:
            return
        pieces = sorted(self._pieces, key=lambda piece: piece.fc)
        starts = [piece.fc for piece in pieces]
        known: dict[bytes, frozenset[str]] = {}
        for page_number in set(unpack(f"<{count}I", data, 4 * (count + 1))):
            start = (page_number & 0x3FFFFF) * _PAGE_BYTES
            page = self._document[start : start + _PAGE_BYTES]
            for first, last, style, properties in runs(page) if len(page) == _PAGE_BYTES else ():
                if properties not in known:
                    known[properties] = _meanings(properties)
                for kind in known[properties] - (_NUMBERED if style in _HEADINGS else frozenset()):
                    _mark(self.marks[kind], first, last, pieces, bisect_right(starts, last))


def _mark(marks: bytearray, first: int, last: int, pieces: list[_Piece], count: int) -> None:
    """The characters at the bytes from ``first`` to ``last``, which may lie in any of the first ``count`` pieces."""
    for number in range(count - 1, -1, -1):
        piece = pieces[number]
        begin = max(0, (first - piece.fc) // piece.width)
        end = min(piece.length, (last - piece.fc + piece.width - 1) // piece.width)
        if begin < end:
            marks[piece.cp + begin : piece.cp + end] = b"\1" * (end - begin)
        if piece.fc <= first:  # pieces do not overlap, so none before this has any of it
            return


def _character_runs(page: bytes) -> _Runs:
    """The runs of a page of character properties (ChpxFkp)."""
    count = page[-1]
    if 4 * (count + 1) + count >= _PAGE_BYTES:
        return
    bounds = struct.unpack_from(f"<{count + 1}I", page)
    for number in range(count):
        offset = 2 * page[4 * (count + 1) + number]
        if offset:
            yield bounds[number], bounds[number + 1], 0, page[offset + 1 : offset + 1 + page[offset]]


def _paragraph_runs(page: bytes) -> _Runs:
    """The runs of a page of paragraph properties (PapxFkp)."""
    count = page[-1]
    if 4 * (count + 1) + 13 * count >= _PAGE_BYTES:
        return
    bounds = struct.unpack_from(f"<{count + 1}I", page)
    for number in range(count):
        offset = 2 * page[4 * (count + 1) + 13 * number]
        if 0 < offset < _PAGE_BYTES - 4:
            length = 2 * page[offset] - 1 if page[offset] else 2 * page[offset + 1]
            offset += 1 if page[offset] else 2
            (style,) = struct.unpack_from("<H", page, offset)
            yield bounds[number], bounds[number + 1], style, page[offset + 2 : offset + length]


def _meanings(properties: bytes) -> frozenset[str]:
    """What a list of properties (grpprl) makes of what it belongs to."""
    found: set[str] = set()
    offset = 0
    while offset + 3 <= len(properties):
        (code,) = struct.unpack_from("<H", properties, offset)
        size = _OPERAND_BYTES[code >> 13]
        if size < 0:
            size = 1 + properties[offset + 2]
        operand = int.from_bytes(properties[offset + 2 : offset + 2 + size], "little")
        if code in _MEANINGS and operand and (code, operand) != _NO_LIST:
            found.add(_MEANINGS[code])
        offset += 2 + size
    return frozenset(found)
