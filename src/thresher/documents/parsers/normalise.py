"""What every text goes through, wherever it came from."""

from __future__ import annotations

import re

_LINE_ENDS = re.compile(r"\r\n?|[\v\f]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_SUSPECTS = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff]")


def normalise(text: str) -> str:
    r"""Line ends (also form feeds) become ``\n``, other C0 controls but the tab go, lone surrogates become U+FFFD.

    The result can always be encoded. Nothing else is changed, and a second pass changes nothing.
    """
    if not _SUSPECTS.search(text):
        return text
    text = _LINE_ENDS.sub("\n", text)
    text = _CONTROLS.sub("", text)
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
