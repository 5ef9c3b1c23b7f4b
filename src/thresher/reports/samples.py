"""A few documents out of many, and the beginnings of their texts."""

from __future__ import annotations

from random import Random
from typing import Generic, TypeVar

_EXCERPT_CHARACTERS = 280
_Item = TypeVar("_Item")


class Reservoir(Generic[_Item]):
    """Keeps ``size`` items of a stream, each equally likely: Vitter's algorithm R (ACM TOMS 11, 1985)."""

    def __init__(self, size: int, random: Random) -> None:
        self._size = size
        self._random = random
        self._seen = 0
        self.chosen: list[_Item] = []

    def add(self, item: _Item) -> None:
        """The stream goes on with ``item``."""
        self._seen += 1
        if len(self.chosen) < self._size:
            self.chosen.append(item)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self.chosen[place] = item


def excerpt_of(text: str) -> str:
    """The beginning of a text in one paragraph, cut at a word."""
    words = " ".join(text[: 4 * _EXCERPT_CHARACTERS].split())
    if len(words) <= _EXCERPT_CHARACTERS:
        return words
    cut = words[:_EXCERPT_CHARACTERS]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut else cut} …"
