"""Mail files as the plain text they are.

Headers and bodies are read as they stand. A mail whose content is wrapped in base64 is refused: a model
would read letters without a meaning and answer all the same.
"""

from __future__ import annotations

import re

from thresher.documents.parsers.charset import decode
from thresher.errors import UnreadableError

_WRAPPED = re.compile(rb"^content-transfer-encoding:[ \t]*\"?(base64|x-uuencode|uuencode|binhex)", re.I | re.M)


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The source of the mail.

    Raises:
        UnreadableError: a part is encoded as base64 or the like, or the data is binary.
    """
    if wrapped := _WRAPPED.search(data):
        raise UnreadableError(f"mail with {wrapped[1].decode().lower()} parts is not supported; save its text")
    return decode(data)
