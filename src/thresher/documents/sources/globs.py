"""Glob patterns, matched on the way down a folder tree so that the matches need never be held together."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

_ANY_DEPTH = "**"

#: Positions in the pattern that a path may have reached; empty: nothing below can match.
State = frozenset[int]


class Pattern:
    """The parts of a glob: ``*``, ``?`` and ``[...]`` stay within a name, ``**`` stands for any number of folders.

    A folder that matches stands for all that is in it, as when the shell expands the glob.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = [None if part == _ANY_DEPTH else re.compile(fnmatch.translate(part)) for part in parts]

    def start(self) -> State:
        """The state at the folder where the pattern begins."""
        return self._open({0})

    def step(self, state: State, name: str) -> State:
        """The state after going on to ``name``."""
        reached = set()
        for position in state:
            if position == len(self._parts):
                reached.add(position)  # below a folder that matched
            elif (part := self._parts[position]) is None:
                reached.add(position)
            elif part.match(name):
                reached.add(position + 1)
        return self._open(reached)

    def matched(self, state: State) -> bool:
        """Whether a path in this state matches the whole pattern."""
        return len(self._parts) in state

    def _open(self, positions: set[int]) -> State:
        """``**`` may also stand for nothing."""
        opened = set()
        for position in positions:
            opened.add(position)
            while position < len(self._parts) and self._parts[position] is None:
                position += 1
                opened.add(position)
        return frozenset(opened)
