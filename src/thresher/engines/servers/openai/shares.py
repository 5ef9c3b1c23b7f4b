"""From the likeliest tokens at each place of a reply to the probabilities of all replies that were possible.

At each place where replies part, the tokens listed there are sorted by the replies that they lead to, and their
probabilities are taken relative to each other: decoding constrained to the replies. The endpoint followed one way only;
where another way is likely and leads to several replies, or where the list is too short to bound what it leaves out,
the probabilities are unknown, and nothing is made up for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: So much of the probability may be unaccounted for.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Place:
    """One token of a reply, and the likeliest there (it may be among them)."""

    token: bytes
    probability: float
    listed: Mapping[bytes, float]


@dataclass(frozen=True, slots=True)
class Shares:
    """The replies' probabilities."""

    probabilities: tuple[float, ...]  # sum to 1
    mass: float  # the probability of all first tokens that lead to a reply


def shares(replies: Sequence[bytes], said: int, places: Sequence[Place]) -> Shares | None:
    """The probabilities of ``replies``, of which ``replies[said]`` was given token by token; None if unknown."""
    found = [0.0] * len(replies)
    alive, text, reach, mass = list(range(len(replies))), b"", 1.0, 1.0
    for index, place in enumerate(places):
        if len(alive) == 1 and index:
            break
        parting = _part(replies, alive, said, text, place)
        if parting is None or parting.unaccounted > TOLERANCE * parting.total:
            return None
        if index == 0:
            mass = min(1.0, parting.total)
        for reply, probability in parting.ending.items():
            found[reply] += reach * probability / parting.total
        reach *= parting.on_the_way / parting.total
        alive, text = parting.going_on, text + place.token
    if len(alive) != 1 or not places:
        return None
    found[alive[0]] += reach
    total = math.fsum(found)
    return Shares(tuple(p / total for p in found), mass)


@dataclass(frozen=True, slots=True)
class _Parting:
    """How the replies part at one place."""

    going_on: list[int]  # with the token that was given
    on_the_way: float  # that token's probability
    ending: Mapping[int, float]  # replies told apart by another token here
    unaccounted: float  # at most this much is missing or belongs to one of several

    @property
    def total(self) -> float:
        return self.on_the_way + math.fsum(self.ending.values())


def _part(replies: Sequence[bytes], alive: Sequence[int], said: int, text: bytes, place: Place) -> _Parting | None:
    """None where an end cannot be told from going on, or the token does not belong to the reply."""
    if replies[said] == text:  # the reply ended here: the token given is its end
        going_on = [said]
    elif any(replies[reply] == text for reply in alive):
        return None  # another one would have ended here, and its end has no text to know it by
    else:
        going_on = _leads_to(replies, alive, text + place.token)
    if said not in going_on or place.probability <= 0:
        return None
    ending: dict[int, float] = {}
    unclear = 0.0
    # the longest token that leads to a reply comes last: its text is cut that way, and shorter ones are other cuts
    for token, probability in sorted(place.listed.items(), key=lambda item: len(item[0])):
        others = _leads_to(replies, alive, text + token) if token and token != place.token else []
        if len(others) == 1 and others[0] not in going_on:
            ending[others[0]] = probability
        elif not set(others) <= set(going_on):
            unclear += probability
    missing = len(alive) - len(going_on) - len(ending)
    least = min(place.listed.values(), default=1.0)
    return _Parting(going_on, place.probability, ending, unclear + missing * least)


def first_mass(replies: Sequence[bytes], places: Sequence[Place]) -> float | None:
    """The probability of all first tokens that lead to a reply, of a completion that says none; None if not told."""
    if not places or not places[0].listed:
        return None
    ways = [token for token in places[0].listed if token and any(reply.startswith(token) for reply in replies)]
    return min(1.0, math.fsum(places[0].listed[token] for token in ways))


def _leads_to(replies: Sequence[bytes], alive: Sequence[int], start: bytes) -> list[int]:
    return [reply for reply in alive if replies[reply].startswith(start)]
