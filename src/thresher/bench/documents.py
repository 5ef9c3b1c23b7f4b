"""Made-up documents of exact lengths, and a task whose words have about a given length."""

from __future__ import annotations

import random

from thresher.models.tokenizer import Tokenizer
from thresher.tasks import Task

_LABELS = {
    "agreement": "binds the parties who sign it", "request": "asks somebody for help", "notice": "tells what is so",
    "record": "keeps what was said and decided", "order": "asks for goods or for a service", "claim": "asks for money",
    "manual": "explains how to use a thing", "essay": "argues for an opinion",
}  # fmt: skip
_SYLLABLES = (
    "ba", "con", "di", "er", "fo", "gen", "hu", "in", "la", "mor", "ne", "or", "pre", "ri", "sta", "ti", "un", "ver",
)  # fmt: skip
_CHARACTERS_PER_TOKEN = 4


def made_up_text(characters: int, seed: int) -> str:
    """Words that mean nothing; the time of a forward pass does not depend on what they mean."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    words: list[str] = []
    length = 0
    while length < characters:
        word = "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4)))
        words.append(word)
        length += len(word) + 1
    return " ".join(words)


def made_up_document(tokenizer: Tokenizer, tokens: int, seed: int) -> list[int]:
    """Exactly ``tokens`` token ids of made-up text."""
    characters = _CHARACTERS_PER_TOKEN * tokens + 8
    while True:
        found = tokenizer.encode(made_up_text(characters, seed))
        if len(found) >= tokens:
            return found[:tokens]
        characters *= 2


def made_up_task(tokenizer: Tokenizer, prefix_tokens: int) -> Task:
    """A task of eight labels whose instructions are filled up until a prompt's beginning has about the length asked."""
    bare = sum(len(tokenizer.encode(f"{name}: {words}\n")) for name, words in _LABELS.items())
    filling = made_up_document(tokenizer, max(1, prefix_tokens - bare), seed=0)
    return Task(_LABELS, instructions=f"Say what each document is. {tokenizer.decode(filling)}")
