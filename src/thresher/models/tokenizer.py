"""Text to token ids, exactly as the model's own tokenizer does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Tokenizer(Protocol):
    """Turns text into the model's token ids.

    ``encode`` and ``encode_batch`` treat their input as plain text: a control token's name in it becomes
    ordinary tokens, never the control token. ``encode_template`` is for text that comes from the model's
    own chat template, where control tokens mean themselves. None of them adds tokens of its own.
    """

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary, control tokens and unused ones included."""

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``[encode(text) for text in texts]``, faster."""

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text, control tokens among them."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``."""
