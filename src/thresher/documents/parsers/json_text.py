r"""JSON, JSON Lines and notebooks: as they stand, with ``\u00e9`` written as the character it is.

A model reads the layout that people wrote, keys twice given and numbers as they are; a second writing would change
them, and fail where a file is cut. But programs write everything beyond ASCII as escapes, of which each costs several
tokens and hides the letter.
"""

from __future__ import annotations

import re

from thresher.documents.parsers.charset import decode

#: An escape with no odd backslash before it; pairs of surrogates are one character.
_ESCAPE = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u(?:([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|([0-9a-fA-F]{4}))"
)


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The text with its escaped letters decoded.

    Raises:
        UnreadableError: binary data.
    """
    return _ESCAPE.sub(_character, decode(data))


def _character(match: re.Match[str]) -> str:
    slashes, high, low, single = match.groups()
    if high:
        return f"{slashes}{chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)}"
    code = int(single, 16)
    if code < 0x20 or code in (0x22, 0x5C, 0x7F) or 0xD800 <= code <= 0xDFFF:
        return match[0]  # as a character it would end the string, or is none
    return slashes + chr(code)
