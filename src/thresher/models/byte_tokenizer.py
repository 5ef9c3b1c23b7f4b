"""UTF-8 bytes as tokens: for use without any model, and for endpoints that take text only."""

from __future__ import annotations

from collections.abc import Sequence


class ByteTokenizer:
    """UTF-8 bytes as tokens, for use without any model. Ids from 256 on are the control tokens, in their order."""

    def __init__(self, control_tokens: Sequence[str] = ("<|im_start|>", "<|im_end|>")) -> None:
        self._control_tokens = tuple(control_tokens)

    @property
    def vocabulary_size(self) -> int:
        """256 bytes and the control tokens."""
        return 256 + len(self._control_tokens)

    def encode(self, text: str) -> list[int]:
        """One token a byte; lone surrogates become question marks."""
        return list(text.encode("utf-8", "replace"))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As ``encode``, for each text."""
        return [self.encode(text) for text in texts]

    def encode_template(self, text: str) -> list[int]:
        """As ``encode``, with control tokens recognised."""
        for index, control in enumerate(self._control_tokens):
            before, found, after = text.partition(control)
            if found:
                return [*self.encode_template(before), 256 + index, *self.encode_template(after)]
        return self.encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text, control tokens written out."""
        parts = [
            bytes((token,)) if token < 256 else self._control_tokens[token - 256].encode("utf-8") for token in tokens
        ]
        return b"".join(parts).decode("utf-8", "replace")
