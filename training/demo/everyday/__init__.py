"""Synthetic everyday documents (invoices, minutes, recipes, ...) with the names and descriptions of their kinds.

All of it is written for this project: no text was taken from anywhere. `grammar/*.txt` holds the sentences and the
skeletons, `kinds.yaml` what each kind is called.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .grammar import Grammar, State
from .layout import lay_out
from .values import make_style

TOPICS = [
    "software",
    "building",
    "health",
    "school",
    "club",
    "shop",
    "law",
    "farm",
    "logistics",
    "arts",
    "food",
    "energy",
    "cars",
    "travel",
    "housing",
    "finance",
]
LANGUAGES = ("de", "fr", "es")
_FOREIGN_SHARE = 0.12
_STRETCHES = (1,) * 22 + (2,) * 10 + (3,) * 5 + (6, 12, 20)
_WRAPPED_SHARE = 0.07

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of document may be called and how it may be described."""

    name: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    weight: int
    wrapped: bool


@dataclass(frozen=True, slots=True)
class EverydayText:
    """One document, its kind's key in `KINDS`, and alternative label names and one-line descriptions of that kind."""

    text: str
    kind: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]


def _read_kinds() -> tuple[dict[str, Kind], frozenset[frozenset[str]]]:
    data = yaml.safe_load((_HERE / "kinds.yaml").read_text(encoding="utf-8"))
    kinds = {
        name: Kind(
            name, tuple(row["names"]), tuple(row["descriptions"]), row.get("weight", 1), row.get("wrapped", False)
        )
        for name, row in data["kinds"].items()
    }
    return kinds, frozenset(frozenset(pair) for pair in data["confusable"])


KINDS, CONFUSABLE = _read_kinds()
GRAMMAR = Grammar(
    [path.read_text(encoding="utf-8") for path in sorted((_HERE / "grammar").glob("*.txt"))], tuple(TOPICS)
)


def generate(seed: int, count: int) -> Iterator[EverydayText]:
    """Yield `count` documents; the same seed gives the same documents.

    Kinds are drawn by their weight in `kinds.yaml`. Kinds of which one's name could be right for the other's documents
    are the pairs in `CONFUSABLE`: do not put both in one label set.
    """
    rng = random.Random(seed)
    bag = [kind for kind in KINDS.values() for _ in range(kind.weight)]
    for _ in range(count):
        kind = bag[int(rng.random() * len(bag))]
        yield EverydayText(write(kind, rng), kind.name, kind.names, kind.descriptions)


def write(kind: Kind, rng: random.Random) -> str:
    """Write one document of `kind`."""
    rule, language = kind.name, "en"
    if rng.random() < _FOREIGN_SHARE:
        foreign = [code for code in LANGUAGES if f"{kind.name}.{code}" in GRAMMAR.rules]
        if foreign:
            language = foreign[int(rng.random() * len(foreign))]
            rule = f"{kind.name}.{language}"
    topic = TOPICS[int(rng.random() * len(TOPICS))]
    stretch = rng.choice(_STRETCHES)
    state = State(rng, topic, make_style(rng, language), stretch)
    text = lay_out(GRAMMAR.expand(rule, state), rng)
    if kind.wrapped and language == "en" and rng.random() < _WRAPPED_SHARE:
        text = GRAMMAR.expand("wrapper_top", state) + "\n\n" + text
    return text
