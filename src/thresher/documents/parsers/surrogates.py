"""Characters that a format gives in two halves of UTF-16."""

from __future__ import annotations

import re

_PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")


def join_surrogates(text: str) -> str:
    """``text`` with the pairs of surrogates in it as the characters they stand for; lone ones stay."""
    return _PAIR.sub(_joined, text)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
