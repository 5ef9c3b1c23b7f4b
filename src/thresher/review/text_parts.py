"""Long texts a part at a time: a browser cannot lay out ten million characters at once."""

from __future__ import annotations

from dataclasses import dataclass

PART_CHARACTERS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """One part of a text. Together the parts are the text, with nothing left out."""

    text: str
    number: int  # from 1
    parts: int
    start: int  # characters before it
    characters: int  # of the whole text


def part_of(text: str, number: int) -> TextPart:
    """The part with this number, or the nearest there is."""
    parts = max(1, -(-len(text) // PART_CHARACTERS))
    number = min(max(number, 1), parts)
    start = (number - 1) * PART_CHARACTERS
    return TextPart(
        text=text[start : start + PART_CHARACTERS], number=number, parts=parts, start=start, characters=len(text)
    )
