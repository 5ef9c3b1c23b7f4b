"""Messages between the pool and a worker: a JSON header and, behind it, bytes.

    4 bytes header length | 8 bytes body length | header (JSON, ASCII) | body

Nothing from a worker is unpickled: it has parsed hostile data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">IQ")
MAX_HEADER_BYTES = 1024 * 1024


class FramingError(Exception):
    """What came is no message."""


def encode(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """One message."""
    head = json.dumps(header).encode("ascii")
    return _LENGTHS.pack(len(head), len(body)) + head + body


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """The header of the next message on a blocking stream; None at its end. Bodies are not expected this way."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_bytes, _ = _LENGTHS.unpack(lengths)
    head = stream.read(head_bytes)
    return _header(head) if len(head) == head_bytes else None


class Decoder:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def next(self) -> tuple[dict[str, Any], bytes] | None:
        """The next whole message, or None while it is not complete.

        Raises:
            FramingError: this is no message.
        """
        buffer = self._buffer
        if len(buffer) < _LENGTHS.size:
            return None
        head_bytes, body_bytes = _LENGTHS.unpack_from(buffer)
        if head_bytes > MAX_HEADER_BYTES:
            raise FramingError(f"a header of {head_bytes} bytes")
        start = _LENGTHS.size + head_bytes
        end = start + body_bytes
        if len(buffer) < end:
            return None
        header = _header(bytes(buffer[_LENGTHS.size : start]))
        body = bytes(buffer[start:end])
        del buffer[:end]
        return header, body


def _header(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except ValueError as error:
        raise FramingError(f"a header that is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FramingError("a header that is no object")
    return header
