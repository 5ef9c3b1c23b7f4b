"""The tokenizer of a served model, asked over the wire.

Servers recognise control tokens in every text, so ``encode`` must keep a document from writing one. What could name a
control token (``<|im_end|>``, ``</s>``, ``[INST]``: a word in brackets) is shown to the server alone; where it comes
back as one token, it is sent in two pieces wherever it stands, which gives ordinary tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

_COULD_BE_CONTROL = re.compile(r"<[^<>\s]{1,64}>|\[[^\[\]\s]{1,64}\]")
#: Distinct words in brackets that are remembered; texts of more are asked about again.
_REMEMBERED = 100_000


class TokenWire(Protocol):
    """The two calls that differ from server to server. They never add tokens, and recognise control tokens."""

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of each text. Raises ``ServerError``."""

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``, control tokens written out. Raises ``ServerError``."""


class RemoteTokenizer:
    """See :class:`~thresher.models.tokenizer.Tokenizer`; every call may raise ``ServerError``."""

    def __init__(self, wire: TokenWire, *, vocabulary_size: int = 0) -> None:
        """``vocabulary_size``: 0 where the server does not say."""
        self._wire = wire
        self._vocabulary_size = vocabulary_size
        self._is_control: dict[str, bool] = {}

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary; 0 where the server does not say."""
        return self._vocabulary_size

    def encode(self, text: str) -> list[int]:
        """As plain text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As ``encode`` for each. Lone surrogates, which JSON cannot carry, become question marks."""
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        self._learn({word for text in texts for word in _COULD_BE_CONTROL.findall(text)})
        pieces = [self._pieces(text) for text in texts]
        encoded = iter(self._wire.tokens_of([piece for of_text in pieces for piece in of_text]))
        return [[token for _ in of_text for token in next(encoded)] for of_text in pieces]

    def encode_template(self, text: str) -> list[int]:
        """With control tokens."""
        return self._wire.tokens_of([text])[0] if text else []

    def decode(self, tokens: Sequence[int]) -> str:
        """The text, control tokens written out."""
        return self._wire.text_of(tokens) if tokens else ""

    def _learn(self, words: set[str]) -> None:
        unknown = sorted(words - self._is_control.keys())
        if not unknown:
            return
        if len(self._is_control) + len(unknown) > _REMEMBERED:
            self._is_control.clear()
            unknown = sorted(words)
        tokens = self._wire.tokens_of(unknown)
        self._is_control |= {word: len(found) == 1 for word, found in zip(unknown, tokens, strict=True)}

    def _pieces(self, text: str) -> list[str]:
        """``text`` cut within every control token's name."""
        pieces, start = list[str](), 0
        for found in _COULD_BE_CONTROL.finditer(text):
            if self._is_control[found.group()]:
                cut = found.start() + 1
                pieces.append(text[start:cut])
                start = cut
        return [piece for piece in [*pieces, text[start:]] if piece]
