"""What every text goes through, wherever it came from."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile(r"\r\n?|[\v\f]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
#: Looking for each of them alone is several times faster than one search for all.
_RARE = "\r\v\f" + "".join(map(chr, (*range(9), *range(0x0E, 0x20))))


def normalise(text: str) -> str:
    r"""Line ends (also form feeds) become ``\n``, other C0 controls but the tab go, lone surrogates become U+FFFD.

    The result can always be encoded. Nothing else is changed, and a second pass changes nothing.
    """
    if any(character in text for character in _RARE):
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
    return text
