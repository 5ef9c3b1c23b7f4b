"""RTF: the text of a document in Rich Text Format (Microsoft's specification, version 1.9.1).

Order and layout are those of DOCX: headers, the body with each note and comment behind its paragraph, footers;
cells parted by tabs. Pictures, embedded objects, field codes, deleted and hidden text are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from thresher.documents.parsers.flow import check_nesting
from thresher.documents.parsers.rtf_text import CHARSETS, TextBuilder, codec_of
from thresher.errors import UnreadableError

_TOKEN = re.compile(
    rb"\\(?:(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|'(?P<hex>[0-9a-fA-F]{2})|(?P<symbol>[^a-zA-Z]))"
    rb"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+|\\",
    re.S,
)
#: For groups that are skipped: only what may end them matters.
_BRACE = re.compile(rb"[{}]|\\bin(\d{1,10}) ?|\\.", re.S)
#: What is in a list's mark when there is none: numbered headings without a number.
_NO_TEXT = re.compile(rb"\\(?!u-?\d)[a-z]+-?\d* ?|[{};\s]")
_SKIPPED = frozenset(
    [
        *("aftncn", "aftnsep", "aftnsepc", "bkmkend", "bkmkstart", "colortbl", "comment"),
        *("datafield", "fchars", "filetbl", "fldinst", "formfield", "ftncn", "ftnsep"),
        *("ftnsepc", "generator", "info", "lchars", "listoverridetable", "listtable", "nonesttables"),
        *("nonshppict", "objdata", "pict", "pntxta", "pntxtb", "private", "revtbl"),
        *("rsidtbl", "rxe", "shprslt", "sp", "stylesheet", "tc", "template"),
        *("xe"),
    ]
)
#: Groups marked as optional (``\*``) that hold text; all others of that kind are skipped.
_OPTIONAL = frozenset(["annotation", "shpinst", "shptxt", "ud", "moMath", "mmath", "footnote", "do", "dptxbxtext"])
_HEADERS = frozenset(["header", "headerl", "headerr", "headerf"])
_FOOTERS = frozenset(["footer", "footerl", "footerr", "footerf"])
_NOTES = frozenset(["footnote", "annotation"])
_BULLETS = frozenset(["pntext", "listtext"])
_CHARACTERS = (
    {"tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"}
    | {"ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " "}
    | {"zwj": "\u200d", "zwnj": "\u200c"}
)
_SYMBOLS = {b"~": "\N{NO-BREAK SPACE}", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\t": "\t"}
_PARAGRAPH_ENDS = frozenset(["par", "sect", "page", "column"])
_CODE_PAGES = {"ansi": 1252, "mac": 10000, "pc": 437, "pca": 850}


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The document's text.

    Raises:
        UnreadableError: no RTF, or it ends before its last group does.
    """
    start = data.find(b"{\\rtf")
    if start < 0:
        raise UnreadableError("broken RTF: it does not begin as RTF does")
    return _Reader(data).read(start)


@dataclass(frozen=True, slots=True)
class _Group:
    """What a group inherits from the one around it, and gives back at its end."""

    font: int | None = None
    fallback_characters: int = 1  # that stand behind a Unicode character for older programs
    hidden: bool = False
    deleted: bool = False


class _Reader:
    """Reads one document."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._group = _Group()
        self._groups: list[tuple[_Group, Callable[[], None] | None]] = []  # around; what to do at the end of the inner
        self._at_end: Callable[[], None] | None = None
        self._optional = False  # \* was read
        self._fresh = False  # a group has just begun
        self._to_drop = 0  # fallback characters yet to come
        self._code_page = "cp1252"
        self._fonts: dict[int, str] = {}
        self._default_font: int | None = None
        self._in_fonts = False
        self._builder = TextBuilder()
        self._collecting = 0  # notes, headers and footers that are open
        self._headers: dict[str, None] = {}
        self._footers: dict[str, None] = {}

    def read(self, start: int) -> str:
        self._position = start
        length = len(self._data)
        while self._position < length:
            token = _TOKEN.match(self._data, self._position)
            if token is None:  # cannot be: the pattern takes any byte
                break
            self._position = token.end()
            self._take(token)
            if not self._groups:
                return "\n".join([*self._headers, *filter(None, [self._builder.text()]), *self._footers])
        raise UnreadableError(f"broken RTF: {len(self._groups)} of its groups do not end (a cut file?)")

    def _take(self, token: re.Match[bytes]) -> None:
        kind = token.lastgroup
        if kind == "text":
            self._text(token["text"])
        elif kind in ("word", "number"):
            number = token["number"]
            self._word(token["word"].decode(), int(number) if number else None)
        elif kind == "hex":
            self._byte(int(token["hex"], 16))
        elif kind == "symbol":
            self._symbol(token["symbol"])
        elif kind == "brace":
            self._open() if token["brace"] == b"{" else self._close()

    def _open(self) -> None:
        self._groups.append((self._group, self._at_end))
        self._at_end, self._optional, self._fresh = None, False, True
        self._to_drop = 0

    def _close(self) -> None:
        if self._at_end:
            self._at_end()
        self._group, self._at_end = self._groups.pop()
        self._optional = self._fresh = False
        self._to_drop = 0

    def _skip_group(self) -> None:
        """To before the brace that ends the group at work."""
        depth = 1
        while found := _BRACE.search(self._data, self._position):
            self._position = found.end()
            if found[1]:
                self._position += int(found[1])
            depth += {b"{": 1, b"}": -1}.get(found[0], 0)
            if not depth:
                self._position = found.start()
                return
        self._position = len(self._data)

    def _word(self, word: str, number: int | None) -> None:
        fresh, self._fresh = self._fresh or self._optional, False
        if word == "bin":
            self._position += max(0, number or 0)
        elif fresh and self._is_destination(word):
            return
        elif word == "u" and number is not None:
            self._unicode(number)
        elif self._to_drop:
            self._to_drop -= 1
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])
        elif word in _PARAGRAPH_ENDS:
            self._builder.end_paragraph()
        elif word in _CONTROLS:
            _CONTROLS[word](self, number)
        elif word in _CODE_PAGES:
            self._code_page = codec_of(_CODE_PAGES[word])

    def _is_destination(self, word: str) -> bool:
        """Whether the group that begins with ``word`` is not text of the group around it; then it is dealt with."""
        optional, self._optional = self._optional, False
        if word in _SKIPPED or (optional and word not in _OPTIONAL):
            self._skip_group()
        elif word in _BULLETS:
            begin = self._position
            self._skip_group()
            if _NO_TEXT.sub(b"", self._data[begin : self._position]):
                self._builder.mark_item()
        elif word in _NOTES:
            around = self._builder
            self._collect(lambda text: around.behind(text.strip()))
        elif word in _HEADERS or word in _FOOTERS:
            edge = self._headers if word in _HEADERS else self._footers
            self._collect(lambda text: edge.update({text: None} if text else {}))
        elif word == "fonttbl":
            self._in_fonts = True
            self._at_end = self._end_fonts
        elif word == "upr":  # the same text twice: in a code page, and then in Unicode
            self._skip_one_inner_group()
        else:
            return False
        return True

    def _collect(self, finish: Callable[[str], None]) -> None:
        self._collecting += 1
        check_nesting(self._collecting)
        around, self._builder = self._builder, TextBuilder()

        def end() -> None:
            text = self._builder.text()
            self._builder = around
            self._collecting -= 1
            finish(text)

        self._at_end = end

    def _skip_one_inner_group(self) -> None:
        if self._data[self._position : self._position + 1] == b"{":
            self._position += 1
            self._skip_group()
            self._position += 1

    def _end_fonts(self) -> None:
        self._in_fonts = False

    def _codec(self) -> str:
        font = self._group.font if self._group.font is not None else self._default_font
        return self._fonts.get(font, self._code_page) if font is not None else self._code_page

    def _text(self, text: bytes) -> None:
        self._fresh = False
        if self._to_drop:
            dropped = min(self._to_drop, len(text))
            self._to_drop -= dropped
            text = text[dropped:]
        if text and self._visible():
            self._builder.write_bytes(text, self._codec())

    def _byte(self, value: int) -> None:
        if self._to_drop:
            self._to_drop -= 1
        elif self._visible():
            self._builder.write_bytes(bytes([value]), self._codec())

    def _symbol(self, symbol: bytes) -> None:
        if symbol == b"*":
            self._optional = True
        elif self._to_drop:
            self._to_drop -= 1
        elif symbol in b"\r\n":
            self._builder.end_paragraph()
        elif symbol in _SYMBOLS:
            self._write(_SYMBOLS[symbol])

    def _unicode(self, number: int) -> None:
        self._to_drop = self._group.fallback_characters
        code = number + 65536 if number < 0 else number
        if 0 <= code < 0x110000:
            self._write(chr(code))

    def _write(self, text: str) -> None:
        if self._visible():
            self._builder.write(text)

    def _visible(self) -> bool:
        return not (self._in_fonts or self._group.hidden or self._group.deleted)

    def _set_font(self, number: int | None) -> None:
        self._group = replace(self._group, font=number)

    def _set_charset(self, number: int | None) -> None:
        if self._in_fonts and self._group.font is not None and number in CHARSETS:
            self._fonts[self._group.font] = CHARSETS[number]

    def _set_font_code_page(self, number: int | None) -> None:
        if self._in_fonts and self._group.font is not None and number:
            self._fonts[self._group.font] = codec_of(number)

    def _set_code_page(self, number: int | None) -> None:
        self._code_page = codec_of(number or 0)

    def _set_default_font(self, number: int | None) -> None:
        self._default_font = number

    def _set_fallback(self, number: int | None) -> None:
        self._group = replace(self._group, fallback_characters=min(max(number or 0, 0), 16))

    def _set_hidden(self, number: int | None) -> None:
        self._group = replace(self._group, hidden=number != 0)

    def _set_deleted(self, number: int | None) -> None:
        self._group = replace(self._group, deleted=number != 0)

    def _reset_characters(self, _number: int | None) -> None:
        self._group = _Group(fallback_characters=self._group.fallback_characters)

    def _reset_paragraph(self, _number: int | None) -> None:
        self._builder.in_table = False

    def _set_in_table(self, _number: int | None) -> None:
        self._builder.in_table = True

    def _end_cell(self, _number: int | None) -> None:
        self._builder.end_cell()

    def _end_nested(self, _number: int | None) -> None:
        self._builder.in_table = True
        self._builder.end_paragraph()

    def _end_row(self, _number: int | None) -> None:
        self._builder.end_row()


_CONTROLS: dict[str, Callable[[_Reader, int | None], None]] = {
    "f": _Reader._set_font,
    "fcharset": _Reader._set_charset,
    "cpg": _Reader._set_font_code_page,
    "ansicpg": _Reader._set_code_page,
    "deff": _Reader._set_default_font,
    "uc": _Reader._set_fallback,
    "v": _Reader._set_hidden,
    "deleted": _Reader._set_deleted,
    "plain": _Reader._reset_characters,
    "pard": _Reader._reset_paragraph,
    "intbl": _Reader._set_in_table,
    "cell": _Reader._end_cell,
    "nestcell": _Reader._end_nested,
    "row": _Reader._end_row,
}
