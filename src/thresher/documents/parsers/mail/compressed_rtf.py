"""Compressed RTF, as Outlook keeps bodies: MS-OXRTFCP, https://learn.microsoft.com/openspecs/exchange_server_protocols."""

from __future__ import annotations

import struct

from thresher.errors import UnreadableError

_DICTIONARY_BYTES = 4096
_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
#: What the dictionary holds at the start (MS-OXRTFCP 2.1.2.1).
_INITIAL = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    + b"\r\n"
    + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
#: No body is larger; the format gains at most 17 bytes for two.
_MOST_BYTES = 64 * 1024 * 1024


def decompress(data: bytes) -> bytes:
    """RTF from what PidTagRtfCompressed holds. A cut stream gives what there is of it.

    Raises:
        UnreadableError: not compressed RTF, or larger than 64 MiB.
    """
    if len(data) < 16:
        raise UnreadableError("broken compressed RTF in the mail")
    _, raw_bytes, kind = struct.unpack_from("<II4s", data)
    if kind == _PLAIN:
        return data[16 : 16 + raw_bytes]
    if kind != _COMPRESSED or raw_bytes > _MOST_BYTES:
        raise UnreadableError("broken compressed RTF in the mail")
    return _expand(data, raw_bytes)


def _expand(data: bytes, raw_bytes: int) -> bytes:
    window = bytearray(_INITIAL.ljust(_DICTIONARY_BYTES, b"\0"))
    at_write, at = len(_INITIAL), 16
    out = bytearray()
    while at < len(data) and len(out) < raw_bytes:
        control, at = data[at], at + 1
        for bit in range(8):
            if at + (control >> bit & 1) >= len(data):
                return bytes(out)
            if not control >> bit & 1:
                piece, at = data[at : at + 1], at + 1
            else:
                token = int.from_bytes(data[at : at + 2], "big")
                at += 2
                if token >> 4 == at_write:  # the end is a reference to the place of writing
                    return bytes(out)
                piece = None
            length = 1 if piece else (token & 15) + 2
            for step in range(length):
                byte = piece[0] if piece else window[((token >> 4) + step) % _DICTIONARY_BYTES]
                out.append(byte)
                window[at_write] = byte
                at_write = (at_write + 1) % _DICTIONARY_BYTES
    return bytes(out)
