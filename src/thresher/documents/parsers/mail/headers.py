"""Header values as people read them: unfolded, encoded words decoded, stray bytes guessed."""

from __future__ import annotations

import binascii
import re

from thresher.documents.parsers.declared import decode_declared
from thresher.documents.parsers.mail.transfer import decode_base64
from thresher.errors import UnreadableError

#: A longer header is cut there, and shows it: addressees may be thousands.
MAX_HEADER_CHARACTERS = 20_000
#: An encoded word of RFC 2047, with the language of RFC 2231 and what real programs get wrong.
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]*)?\?([bq])\?(.*?)\?=", re.IGNORECASE | re.DOTALL)
_FOLD = re.compile(r"[ \t]*[\r\n]+[ \t]*")


def decode_header(raw: str, charset: str | None = None) -> str:
    """A header's value on one line of plain text.

    Args:
        raw: as it was parsed, bytes above ASCII as surrogates.
        charset: what such bytes are in where they are not UTF-8: that of the body is the best guess there is.
    """
    return decode_words(_FOLD.sub(" ", _decode_stray(raw, charset))).strip()


def decode_words(value: str) -> str:
    """Encoded words replaced by what they say; neighbours are joined, even in the middle of a character."""
    if "=?" not in value:
        return value
    out: list[str] = []
    at, charset, pending = 0, "", b""
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        data = _word_bytes(word[2].lower(), word[3])
        if pending and (between.strip() or word[1].lower() != charset):
            out.append(_decode_bytes(pending, charset))
            pending = b""
        if between.strip() or at == 0:
            out.append(between)
        charset, pending, at = word[1].lower(), pending + data, word.end()
    if pending:
        out.append(_decode_bytes(pending, charset))
    return "".join(out) + value[at:]


def _word_bytes(kind: str, content: str) -> bytes:
    raw = content.encode("utf-8", "replace")
    return decode_base64(raw) if kind == "b" else binascii.a2b_qp(raw.replace(b" ", b"_"), header=True)


def _decode_stray(raw: str, charset: str | None) -> str:
    """RFC 5322 knows no bytes above ASCII; programs write them all the same. Too few to guess a code page from."""
    if len(raw) > MAX_HEADER_CHARACTERS:
        raw = f"{raw[:MAX_HEADER_CHARACTERS]} [...]"
    return raw if raw.isascii() else _decode_bytes(raw.encode("utf-8", "surrogateescape"), charset or "cp1252")


def _decode_bytes(data: bytes, charset: str | None) -> str:
    try:
        return decode_declared(data, charset, as_in_mail=True)
    except UnreadableError:
        return data.decode("ascii", "replace")
