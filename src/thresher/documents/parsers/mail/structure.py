"""The structure of a MIME message, and its parts as bytes.

The parser is Python's ``email`` package, which takes nearly anything and raises nearly anything on hostile mails: use
it within :func:`translated`.
"""

from __future__ import annotations

import codecs
import contextlib
import copy
import email
import io
from collections.abc import Iterator
from email.generator import BytesGenerator
from email.message import Message
from email.policy import Compat32

from thresher.documents.parsers.mail.headers import decode_header, decode_words
from thresher.documents.parsers.mail.transfer import decode_transfer
from thresher.errors import UnreadableError


class _AsWritten(Compat32):
    """Header values as the file has them: decoded where they are read, byte for byte where they are written."""

    def header_fetch_parse(self, name: str, value: str) -> str:  # noqa: ARG002 - overrides
        return decode_header(value)

    def fold_binary(self, name: str, value: str) -> bytes:
        return f"{name}: {value}\n".encode("ascii", "surrogateescape")


_POLICY = _AsWritten()


def parse_structure(data: bytes) -> Message:
    """The structure of a mail. Use it within :func:`translated`."""
    return email.message_from_bytes(data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n"), policy=_POLICY)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn whatever ``email`` raises into a reason."""
    try:
        yield
    except (UnreadableError, MemoryError):
        raise
    except RecursionError as error:
        raise UnreadableError("mail nested too deeply to be read") from error
    except Exception as error:  # email raises KeyError, ValueError, IndexError, LookupError and more on hostile mails
        raise UnreadableError(f"broken mail: {type(error).__name__}: {error}") from error


def children(part: Message) -> list[Message]:
    """The parts of a part, none where it is a leaf."""
    found = part.get_payload()
    return [child for child in found if isinstance(child, Message)] if isinstance(found, list) else []


def disposition(part: Message) -> str:
    """``attachment``, ``inline`` or what else the part says; empty if nothing."""
    return str(part.get("content-disposition", "")).partition(";")[0].strip().lower()


def name(part: Message) -> str:
    """The file name of a part, decoded; empty if there is none."""
    try:
        return decode_words(part.get_filename() or "").strip()
    except (ValueError, LookupError, TypeError):  # RFC 2231 gone wrong
        return ""


def parameter(part: Message, name: str) -> str | None:
    """A parameter of the content type, decoded."""
    try:
        value = part.get_param(name)
    except (ValueError, LookupError, TypeError):
        return None
    return value[2] if isinstance(value, tuple) else value


def raw_payload(part: Message) -> bytes:
    """The bytes of a leaf as they stand in the mail; without the header, ``get_payload`` undoes nothing."""
    bare = copy.copy(part)
    del bare["content-transfer-encoding"]
    data = bare.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def payload(part: Message) -> bytes:
    """The bytes of a leaf, its transfer encoding undone."""
    return decode_transfer(raw_payload(part), str(part.get("content-transfer-encoding", "")))


def size(part: Message) -> int:
    """About how many bytes a part has, as encoded."""
    return sum(map(size, children(part))) if part.is_multipart() else len(str(part.get_payload()))


def source(message: Message) -> bytes:
    """A mail inside another as a file of its own, headers as they were written."""
    buffer = io.BytesIO()
    BytesGenerator(buffer, mangle_from_=False, maxheaderlen=0).flatten(message, unixfrom=False)
    return buffer.getvalue()
