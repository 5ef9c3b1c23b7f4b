"""The prompt as Thresher builds it, in tokens, and the many ways a task can be worded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

DEFAULT_INSTRUCTIONS = "Read the document and decide which of the labels fits it best."
OTHER_INSTRUCTIONS = tuple(
    line.strip()
    for line in """
    Decide what kind of document this is.
    Which label fits the text below?
    Sort the document into one of the categories.
    Choose the category of this text.
    Classify the document.
    Classify the following text by its topic.
    What is the text about? Pick the best label.
    Pick the label that describes the document best.
    Decide which topic the document belongs to.
    Assign the document to exactly one class.
    Say what this document is.
    Route this message to the right queue.
    Find out what the writer wants.
    Which of these does the text deal with?
    Judge by the content, not by the title.
    You sort incoming mail. Decide what each item is.
    You are given a document. Name its type.
    Determine the document type.
    Determine the subject of the text.
    Which department should get this?
    Label the document.
    Look at the text and choose the closest category.
    Read the text and pick the tag that suits it.
    What sort of paper is this?
    Files are sorted by kind. Decide the kind of this file.
    Identify the intent of the message.
    Tell which of the listed categories matches the content.
    Give the best matching label for this file.
    Each document belongs to one of the groups below. Decide which.
    Read carefully and decide which description fits.
    """.strip().splitlines()
)
_SUFFIX = "---\nAnswer with exactly one label from the list, and nothing else."


class Prompter:
    """Builds prompts of token ids. Lines are encoded apart: a line's end is always a token boundary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.encode = lru_cache(maxsize=200_000)(self._encode)
        start, end = tokenizer.token_to_id("<|im_start|>"), tokenizer.token_to_id("<|im_end|>")
        think, thought = tokenizer.token_to_id("<think>"), tokenizer.token_to_id("</think>")
        plain, blank = self._encode(_SUFFIX), self._encode("\n\n")
        reply = (start, *self._encode("assistant\n"), think, *blank, thought, *blank)
        self.end = end
        self._head = (start, *self._encode("user\n"))
        self.suffix = (*plain, end, *self._encode("\n"), *reply)
        self._labels, self._document = self._encode("Labels:\n"), self._encode("Document:\n")

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text).ids)

    def prefix(
        self, instructions: str, labels: Sequence[tuple[str, str | None]]
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokens up to and including "Document:", and each label line's first and past-last token."""
        ids = [*self._head, *self.encode(instructions + "\n\n"), *self._labels]
        spans = []
        for i, (name, description) in enumerate(labels):
            line = f"{name}: {description}" if description else name
            begin = len(ids)
            ids += self.encode(line + ("\n\n" if i == len(labels) - 1 else "\n"))
            spans.append((begin, len(ids)))
        return ids + list(self._document), spans

    def document(self, text: str) -> tuple[int, ...]:
        """The document's tokens with the line end that closes it."""
        return self._encode(text.strip() + "\n")

    def documents(self, texts: Sequence[str]) -> list[list[int]]:
        """``document`` for many texts at once."""
        return [e.ids for e in self._tokenizer.encode_batch([text.strip() + "\n" for text in texts])]

    def answer(self, label: str) -> list[int]:
        """The label's tokens and the end of the turn."""
        return [*self.encode(label), self.end]


def draw_instructions(rng: random.Random) -> str:
    """Half the time the default."""
    return DEFAULT_INSTRUCTIONS if rng.random() < 0.5 else rng.choice(OTHER_INSTRUCTIONS)


def restyle(name: str, style: str) -> str:
    """The label's name as different people would write it."""
    words = name.replace("_", " ").replace("-", " ").split()
    match style:
        case "lower":
            return " ".join(words).lower()
        case "title":
            return " ".join(w[:1].upper() + w[1:] for w in words)
        case "sentence":
            return " ".join(words)[:1].upper() + " ".join(words)[1:]
        case "kebab":
            return "-".join(words).lower()
        case "snake":
            return "_".join(words).lower()
        case "upper":
            return "_".join(words).upper()
        case _:
            return name


STYLES = ("plain", "plain", "lower", "lower", "title", "title", "sentence", "kebab", "kebab", "snake", "snake", "upper")
