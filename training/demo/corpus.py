"""The concepts (what a label can mean) and the documents that the demo model learns from.

A concept has names and descriptions; the concepts of one family exclude one another, so they make natural label
sets. A held-back concept is met only in evaluation: no training row holds one of its documents or names.
"""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict, dataclass, field
from pathlib import Path

#: What is held back: family -> first names of its concepts, or None for the whole family.
HELD_BACK: dict[str, frozenset[str] | None] = {
    "services": frozenset(
        ["Weather", "Music", "Animals", "Food & Drink", "Transportation", "Sports & Fitness", "Jobs", "Cryptocurrency"]
    ),
    "advisories": None,
    "publications": None,
    "requests": frozenset(
        ["alarm", "calories", "car rental", "exchange rate", "flight status", "lost luggage", "play music"]
        + ["report fraud", "roll dice", "tire pressure", "translate", "vaccines", "weather", "credit score"]
        + ["jump start", "directions", "meaning of life", "pto request", "smart home", "spelling"]
    ),
    "everyday": frozenset(
        ["travel-itinerary", "reference-letter", "poem", "lab-results", "changelog", "shipping-notice", "newsletter"]
    ),
}


@dataclass(slots=True)
class Concept:
    """Something a label can mean. ``avoid``: first names of the family's concepts that could be right as well."""

    family: str
    names: list[str]
    descriptions: list[str] = field(default_factory=list)
    avoid: list[str] = field(default_factory=list)
    held_back: bool = False


@dataclass(slots=True)
class Document:
    """A text and, where one is natural, the index of its concept."""

    text: str
    concept: int | None
    held_back: bool = False


class Corpus:
    """Concepts and documents, gathered source by source."""

    def __init__(self) -> None:
        self.concepts: list[Concept] = []
        self.documents: list[Document] = []
        self._index: dict[tuple[str, str], int] = {}

    def concept(self, family: str, names: list[str], descriptions: list[str], avoid: list[str] | None = None) -> int:
        """The index of the family's concept whose first name is ``names[0]``, added where it is new."""
        key = (family, names[0])
        if key not in self._index:
            kept = HELD_BACK.get(family, frozenset())
            held_back = kept is None or names[0] in kept
            self._index[key] = len(self.concepts)
            self.concepts.append(Concept(family, names, descriptions, avoid or [], held_back))
        return self._index[key]

    def add(self, text: str, concept: int | None) -> None:
        """Add one document; it is held back if its concept is."""
        if text := text.strip():
            self.documents.append(Document(text, concept, concept is not None and self.concepts[concept].held_back))

    def save(self, path: Path) -> None:
        """Write everything as compressed JSON lines, the concepts on the first."""
        with lzma.open(path, "wt", encoding="utf-8") as out:
            out.write(json.dumps([asdict(c) for c in self.concepts]) + "\n")
            for document in self.documents:
                out.write(json.dumps([document.text, document.concept, document.held_back]) + "\n")

    @classmethod
    def load(cls, path: Path) -> Corpus:
        """Read what ``save`` wrote."""
        corpus = cls()
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            corpus.concepts = [Concept(**row) for row in json.loads(next(lines))]
            corpus.documents = [Document(*json.loads(line)) for line in lines]
        return corpus
