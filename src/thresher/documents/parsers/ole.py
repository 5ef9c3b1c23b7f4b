"""The streams of an OLE container, as Office used them until 2003."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable

import olefile

from thresher.errors import UnreadableError


def read_streams(data: bytes, names: Iterable[str], kind: str) -> dict[str, bytes]:
    """Those of the named streams that are there; ``kind`` is for messages.

    Raises:
        UnreadableError: a broken container.
    """
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            return {name: container.openstream(name).read() for name in names if container.exists(name)}
    except MemoryError:
        raise
    except Exception as error:  # the library fails in many ways on broken files
        raise UnreadableError(f"broken {kind} (a cut file?): {error}") from error


def unpack(layout: str, data: bytes, offset: int) -> tuple[int, ...]:
    """``struct.unpack_from`` with offsets that come from a file.

    Raises:
        UnreadableError: there are not so many bytes.
    """
    if not 0 <= offset <= len(data) - struct.calcsize(layout):
        raise UnreadableError(f"broken file: it refers to byte {offset:,} of {len(data):,}")
    return struct.unpack_from(layout, data, offset)
