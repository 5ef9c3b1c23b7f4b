"""What the prompts of a batch have in common, so that an engine reads it once.

Requests that allow the same replies and have the same messages before the last one are alike. Among those alike, the
ones whose last message starts the same way are a group where they are many (a file may hold several instructions
with the same labels); the rest are one group. A group's *head* and *tail* are what all its last messages start and end
with. Which group a request is in decides how fast it is answered, never the answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from thresher.types import ChatRequest

#: Last messages that start with the same so many characters may be a group.
_START_CHARACTERS = 32
_LEAST_MEMBERS = 8
_LEAST_SHARE = 0.05
#: Bounds of memory: heads and tails are followed to this length, and for so many starts; later ones share less.
_LONGEST_HEAD_CHARACTERS = 32_768
_LONGEST_TAIL_CHARACTERS = 4_096
_MOST_STARTS = 2_000


@dataclass(frozen=True, slots=True)
class Group:
    """Requests whose prompts have a start and an end in common."""

    key: bytes  # of the messages before the last one and the replies
    head: str = ""
    tail: str = ""


@dataclass(slots=True)
class _Common:
    """The longest start and end of all texts seen."""

    head: str
    tail: str
    members: int = 1

    def add(self, head: str, tail: str, members: int = 1) -> None:
        self.head = _common_start(self.head, head)
        self.tail = _common_start(self.tail[::-1], tail[::-1])[::-1]
        self.members += members


@dataclass(slots=True)
class _Alike:
    """Requests with the same replies and the same messages before the last."""

    starts: dict[str, _Common] = field(default_factory=dict)
    others: int = 0  # whose starts are not followed


class Sharing:
    """Gathers requests with ``add``; after ``settle``, says which group each is in."""

    def __init__(self) -> None:
        self.has_system = False  # whether a request has a system message
        self._alike: dict[bytes, _Alike] = {}
        self._followed = 0
        self._groups: dict[bytes, tuple[Group, dict[str, Group]]] = {}

    def add(self, request: ChatRequest) -> None:
        """Take note of a request."""
        self.has_system = self.has_system or request.messages[0][0] == "system"
        key = _key(request)
        start = request.text[:_START_CHARACTERS]
        alike = self._alike.get(key)
        common = alike.starts.get(start) if alike else None
        head, tail = request.text[:_LONGEST_HEAD_CHARACTERS], request.text[-_LONGEST_TAIL_CHARACTERS:]
        if common is not None:
            common.add(head, tail)
        elif self._followed < _MOST_STARTS:
            self._followed += 1
            self._alike.setdefault(key, _Alike()).starts[start] = _Common(head, tail)
        elif alike is not None:
            alike.others += 1

    def settle(self) -> None:
        """All requests were added: make the groups."""
        self._groups = {key: _groups(key, alike) for key, alike in self._alike.items()}
        self._alike = {}

    def group_of(self, request: ChatRequest) -> Group:
        """The group of a request."""
        key = _key(request)
        rest, by_start = self._groups.get(key) or (Group(key), {})
        return by_start.get(request.text[:_START_CHARACTERS], rest)


def _groups(key: bytes, alike: _Alike) -> tuple[Group, dict[str, Group]]:
    total = alike.others + sum(common.members for common in alike.starts.values())
    least = max(_LEAST_MEMBERS, _LEAST_SHARE * total)
    by_start = {start: Group(key, c.head, c.tail) for start, c in alike.starts.items() if c.members >= least}
    rest: _Common | None = None
    for start, common in alike.starts.items():
        if start in by_start:
            continue
        if rest is None:
            rest = common
        else:
            rest.add(common.head, common.tail, common.members)
    if rest is None or rest.members < 2 or alike.others:
        return Group(key), by_start
    return Group(key, rest.head, rest.tail), by_start


def _key(request: ChatRequest) -> bytes:
    content = json.dumps([request.messages[:-1], request.labels, request.replies()])
    return hashlib.sha256(content.encode()).digest()[:16]


def _common_start(first: str, second: str) -> str:
    if second.startswith(first):
        return first
    low, high = 0, min(len(first), len(second))
    while low < high:  # first[:low] is common, and no more than first[:high] can be
        middle = (low + high + 1) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle - 1
    return first[:low]
