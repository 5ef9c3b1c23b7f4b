"""Everything that is text already: plain text, Markdown, source code, CSV, XML."""

from __future__ import annotations

from thresher.documents.parsers.charset import decode


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The text as it stands, markup included.

    Raises:
        UnreadableError: binary data.
    """
    return decode(data)
