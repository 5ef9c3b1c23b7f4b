"""Transfer encodings: base64, quoted-printable and uuencode, read as far as they make sense."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_BLANK = re.compile(rb"[^A-Za-z0-9+/=]+")
_PADDING = re.compile(rb"=+")
_BEGIN = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} (?P<name>[^\r\n]{1,255})\r?\n", re.MULTILINE)
_END = re.compile(rb"^[` ]?\r?\n?end[ \t\r]*$", re.MULTILINE)
_UUENCODE = ("uuencode", "x-uuencode", "uue", "x-uue")


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """The bytes of a part; an encoding that is unknown leaves them as they are. Never fails."""
    kind = encoding.strip(" \t\"';").lower().partition(";")[0].strip()
    if kind == "base64":
        return decode_base64(data)
    if kind.startswith("quoted-printable"):
        return quopri.decodestring(data)
    if kind in _UUENCODE:
        files = list(uuencoded_files(data))
        return files[0][1] if files else data
    return data


def decode_base64(data: bytes) -> bytes:
    """Base64 with what happens to it on the way: stray characters, missing padding, text behind it.

    Lines behind the first that is no base64 are kept as they are if most of them are none (footers of mailing lists);
    data that begins with no base64 at all is returned unchanged.
    """
    broken = _NOT_BASE64.search(data)
    if broken is None:
        return _segments(data)
    line = data.rfind(b"\n", 0, broken.start()) + 1
    head, tail = data[:line], data[line:]
    if len(_NOT_BASE64.findall(tail)) < 0.02 * len(tail):
        return _segments(data)
    return _segments(head) + tail if head.strip() else data


def _segments(data: bytes) -> bytes:
    """Pieces that end in padding, one after the other, each padded as it should be."""
    decoded = []
    for segment in _PADDING.split(_BLANK.sub(b"", data)):
        usable = segment[: len(segment) - 1] if len(segment) % 4 == 1 else segment
        decoded.append(binascii.a2b_base64(usable + b"=" * (-len(usable) % 4)))
    return b"".join(decoded)


def uuencoded_files(data: bytes) -> Iterator[tuple[str, bytes, int, int]]:
    """Files written into a text by uuencode: name, bytes, and where they begin and end in ``data``."""
    at = 0
    while (begin := _BEGIN.search(data, at)) is not None:
        end = _END.search(data, begin.end())
        if end is None:
            return
        yield (
            begin["name"].decode("utf-8", "replace").strip(),
            _uu_lines(data[begin.end() : end.start()]),
            begin.start(),
            end.end(),
        )
        at = end.end()


def _uu_lines(data: bytes) -> bytes:
    decoded = []
    for row in filter(None, data.splitlines()):
        try:
            decoded.append(binascii.a2b_uu(row))
        except binascii.Error:  # some encoders pad wrongly: take as many characters as the first one says
            needed = (((row[0] - 32) & 63) * 4 + 5) // 3
            try:
                decoded.append(binascii.a2b_uu(row[:needed]))
            except binascii.Error:
                continue
    return b"".join(decoded)
