"""Which options a program knows, read from its own help text, and the spelling of what we want in them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

#: Between an option with its value and what it means; llama.cpp also pads after commas.
_GAP = re.compile(r"(?<![,\s])\s{2,}")
_NAME = re.compile(r"(?:^|(?<=[\s,]))--?[A-Za-z][\w-]*")
#: A line that begins further in goes on with a meaning, which may begin with an option's name.
_DEEPEST_INDENT = 8
#: llama.cpp lists options that only raise an error.
_REMOVED = "has been removed"


@dataclass(frozen=True, slots=True)
class KnownOptions:
    """Name of an option -> what its value looks like in the help; empty for a switch."""

    values: Mapping[str, str]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def is_switch(self, name: str) -> bool:
        """Whether the option, which must be known, takes no value."""
        return not self.values[name]


def parse_help(text: str) -> KnownOptions:
    """The options of a help text as argparse or llama.cpp write it: an option begins a line."""
    values: dict[str, str] = {}
    for names, value, meaning in _entries(text):
        if _REMOVED not in meaning:
            values |= dict.fromkeys(names, value)
    return KnownOptions(values)


def _entries(text: str) -> Iterator[tuple[list[str], str, str]]:
    """Names, value and meaning; a meaning may begin on the next line."""
    for line, following in itertools.pairwise([*text.splitlines(), ""]):
        stripped = line.strip()
        if not stripped.startswith("-") or len(line) - len(line.lstrip()) > _DEEPEST_INDENT:
            continue
        option, *meaning = _GAP.split(stripped, maxsplit=1)
        found = list(_NAME.finditer(option))
        if found:
            yield (
                [name.group() for name in found],
                option[found[-1].end() :].strip(),
                (meaning or [following.strip()])[0],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A setting we want, in the spellings that versions have had for it; the first that is known is used."""

    spellings: tuple[tuple[str, str | None], ...]  # option and value; no value for a switch
    needed: bool = False  # the server is of no use without it


def wish(value: str | int | float | None, *names: str, needed: bool = False) -> Wish:
    """One value under several names."""
    text = None if value is None else str(value)
    return Wish(spellings=tuple((name, text) for name in names), needed=needed)


def spell(wishes: Iterable[Wish], known: KnownOptions) -> tuple[list[str], list[Wish]]:
    """The arguments for ``wishes``, in their order, and those wishes that the program has no option for."""
    arguments: list[str] = []
    unmet: list[Wish] = []
    for one in wishes:
        spelled = _spell_one(one.spellings, known)
        if spelled is None:
            unmet.append(one)
        else:
            arguments += spelled
    return arguments, unmet


def _spell_one(spellings: Sequence[tuple[str, str | None]], known: KnownOptions) -> list[str] | None:
    for name, value in spellings:
        if name not in known:
            continue
        if not known.is_switch(name):
            if value is not None:
                return [name, value]
        elif value in (None, "on"):  # early llama.cpp: --flash-attn without a value
            return [name]
    return None
