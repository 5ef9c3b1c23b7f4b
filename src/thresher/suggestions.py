"""The end of a message about a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LEAST_LIKENESS = 0.6


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1) -> str:
    """``"; did you mean 'lease'?"`` for the nearest of ``known``, of ``most`` names; empty where none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=most, cutoff=_LEAST_LIKENESS)
    return f"; did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
