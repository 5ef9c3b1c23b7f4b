"""Bytes that come with the name of their encoding, which may be wrong, unknown or missing."""

from __future__ import annotations

import codecs

from thresher.documents.parsers.charset import decode

#: What browsers and mail programs mean by these names.
_MEANT = {
    **dict.fromkeys(["iso-8859-1", "latin1", "us-ascii", "ascii", "x-ansi", "iso-8859-8859"], "cp1252"),
    **dict.fromkeys(["gb2312", "gbk", "x-gbk", "gb_2312-80"], "gb18030"),
    **dict.fromkeys(["shift_jis", "shift-jis", "x-sjis", "sjis"], "cp932"),
    **dict.fromkeys(["euc-kr", "ks_c_5601-1987", "ks_c_5601", "x-windows-949"], "cp949"),
    **dict.fromkeys(["iso-8859-8-i", "iso-8859-8-e", "visual"], "iso8859_8"),
    **dict.fromkeys(["unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "unicode-2-0-utf-7"], "utf-7"),
    **dict.fromkeys(["macintosh", "x-mac-roman", "mac"], "mac_roman"),
    "big5-hkscs": "big5hkscs",
}
#: Codecs of Python that no document is written in; some take time that grows with the square of the length.
_NOT_FOR_DOCUMENTS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})
_ENCODED_IN_ASCII = frozenset({"utf-7", "hz"})
#: More broken characters than this share of those above ASCII: the name is wrong.
_LARGEST_BROKEN_SHARE = 0.1


def decode_declared(data: bytes, label: str | None, *, as_in_mail: bool = False) -> str:
    """The text in ``data``, said to be in the encoding ``label``.

    Byte order marks and valid UTF-8 win over the label: labels lie, bytes hardly. A label that is unknown, or by which
    too much is broken, is passed over.

    Args:
        data: the bytes.
        label: as it was found; None if there was none.
        as_in_mail: encodings written in ASCII (UTF-7, HZ) are honoured. Browsers do not, for good reason.

    Raises:
        UnreadableError: the bytes are no text.
    """
    codec = _codec(label)
    if codec is None or (codec in _ENCODED_IN_ASCII and not as_in_mail):
        return decode(data)
    if codec not in _ENCODED_IN_ASCII and not _plain_8_bit(data):
        return _wide(data, codec) or decode(data)
    text = data.decode(codec, "replace")
    broken = text.count("\N{REPLACEMENT CHARACTER}")
    above_ascii = sum(map("\x7f".__lt__, text))
    return text if broken <= _LARGEST_BROKEN_SHARE * above_ascii else decode(data)


def _codec(label: str | None) -> str | None:
    name = (label or "").strip(" \t\r\n\"'<>;,").lower()
    try:
        codec = codecs.lookup(_MEANT.get(name, name))
        "".encode(codec.name)  # refuses what is no text encoding, such as zlib
    except (LookupError, ValueError):
        return None
    return None if codec.name in _NOT_FOR_DOCUMENTS else codec.name


def _wide(data: bytes, codec: str) -> str | None:
    """UTF-16 and UTF-32 as declared, where the bytes bear it out."""
    if not codec.startswith(("utf-16", "utf-32")) or b"\0" not in data:
        return None
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return None
    return text if "\0" not in text else None


def _plain_8_bit(data: bytes) -> bool:
    """Neither marked, nor wide, nor UTF-8 beyond ASCII."""
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        return False
    if data.isascii():
        return b"\x1b" in data
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False
