"""The properties of one object in an MSG file (MS-OXMSG): streams of an OLE container, named by tag and type."""

from __future__ import annotations

import datetime
import re
import struct

from olefile import OleFileIO

from thresher.documents.parsers.declared import decode_declared

#: The storages inside an object that are objects themselves.
_OBJECT = re.compile(r"__(recip|attach)_version1\.0_#[0-9A-Fa-f]{8}")
_FIXED = "__properties_version1.0"
_STRING_8, _STRING, _BINARY, _LONG, _TIME = 0x001E, 0x001F, 0x0102, 0x0003, 0x0040
_INTERNET_CODE_PAGE, _MESSAGE_CODE_PAGE = 0x3FDE, 0x3FFD
#: Where entries begin in the fixed properties: of a message in a file, of one within another, of anything else.
_HEADS = {"root": 32, "embedded": 24, "other": 8}
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)


class MsgObject:
    """A message, a recipient or an attachment: one storage of the container.

    Args:
        ole: the container.
        path: of the storage; empty for the message of the file.
        kind: ``root``, ``embedded`` or ``other``.
        code_page: what 8-bit strings are in, where the object does not say so itself.
    """

    def __init__(self, ole: OleFileIO, path: tuple[str, ...] = (), kind: str = "root", code_page: str = "") -> None:
        self._ole = ole
        self._path = path
        self._fixed = self._fixed_properties(_HEADS[kind])
        page = self._fixed.get((_INTERNET_CODE_PAGE, _LONG)) or self._fixed.get((_MESSAGE_CODE_PAGE, _LONG))
        self.code_page = _codec(int.from_bytes(page[:4], "little")) if page else code_page

    def text(self, *tags: int) -> str:
        """The first of these string properties that says something, else the empty string."""
        for tag in tags:
            wide, narrow = self._stream(tag, _STRING), self._stream(tag, _STRING_8)
            value = wide.decode("utf-16-le", "replace") if wide else decode_declared(narrow, self.code_page)
            if value.strip("\0 \t\r\n"):
                return value.rstrip("\0")
        return ""

    def binary(self, tag: int) -> bytes | None:
        """A binary property; None if there is none."""
        return self._stream(tag, _BINARY) if self._has(tag, _BINARY) else None

    def number(self, tag: int) -> int | None:
        """A 32-bit property."""
        value = self._fixed.get((tag, _LONG))
        return None if value is None else int.from_bytes(value[:4], "little")

    def time(self, tag: int) -> str:
        """A point in time, as a mail's Date; empty if there is none."""
        ticks = int.from_bytes(self._fixed.get((tag, _TIME), b""), "little")  # of 100 ns since 1601
        try:
            return (
                (_EPOCH + datetime.timedelta(microseconds=ticks // 10)).strftime("%Y-%m-%d %H:%M:%S UTC")
                if ticks
                else ""
            )
        except OverflowError:
            return ""

    def inside(self, kind: str) -> list[MsgObject]:
        """Its recipients (``recip``) or attachments (``attach``), in their order."""
        depth = len(self._path)
        found = {
            entry[depth]
            for entry in self._ole.listdir(streams=True, storages=True)
            if len(entry) > depth and tuple(entry[:depth]) == self._path and _is(entry[depth], kind)
        }
        return [MsgObject(self._ole, (*self._path, name), "other", self.code_page) for name in sorted(found)]

    def embedded(self) -> MsgObject | None:
        """The message that an attachment is, if it is one."""
        path = (*self._path, "__substg1.0_3701000D")
        if not self._ole.exists([*path, _FIXED]):
            return None
        return MsgObject(self._ole, path, "embedded", self.code_page)

    def _has(self, tag: int, kind: int) -> bool:
        return bool(self._ole.exists([*self._path, f"__substg1.0_{tag:04X}{kind:04X}"]))

    def _stream(self, tag: int, kind: int) -> bytes:
        if not self._has(tag, kind):
            return b""
        with self._ole.openstream([*self._path, f"__substg1.0_{tag:04X}{kind:04X}"]) as stream:
            return bytes(stream.read())

    def _fixed_properties(self, start: int) -> dict[tuple[int, int], bytes]:
        if not self._ole.exists([*self._path, _FIXED]):
            return {}
        with self._ole.openstream([*self._path, _FIXED]) as stream:
            data = bytes(stream.read())
        entries = struct.iter_unpack("<HHI8s", data[start : start + (len(data) - start) // 16 * 16])
        return {(tag, kind): value for kind, tag, _, value in entries}


def _is(name: str, kind: str) -> bool:
    match = _OBJECT.fullmatch(name)
    return match is not None and match[1] == kind


def _codec(page: int) -> str:
    """The label of a Windows code page, as far as it differs from ``cp<number>``."""
    names = {65001: "utf-8", 20127: "ascii", 1200: "utf-16-le", 10000: "mac_roman", 20866: "koi8-r", 21866: "koi8-u"}
    names |= {28590 + part: f"iso-8859-{part}" for part in range(1, 16)}
    names |= {50220: "iso-2022-jp", 51932: "euc-jp", 51949: "euc-kr", 936: "gb18030", 54936: "gb18030", 52936: "hz"}
    return names.get(page, f"cp{page}")
