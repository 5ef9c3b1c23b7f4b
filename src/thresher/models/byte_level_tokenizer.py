"""The fast tokenizer: the ``tokenizers`` library (Rust) over a vocabulary of byte-level byte-pair encoding.

Plain text never becomes a control token because the library is not told about them: the vocabulary it merges in
holds ordinary tokens only, and a template's control tokens are cut out before it sees the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer


class ByteLevelTokenizer:
    """A :class:`~thresher.models.tokenizer.Tokenizer` over such a vocabulary. Safe to share between threads."""

    def __init__(self, plain: Tokenizer, texts: Sequence[str], special_tokens: Mapping[str, int]) -> None:
        """``plain`` merges ordinary tokens only; ``texts[i]`` is token i as the vocabulary writes it."""
        self._plain = plain
        self._texts = texts
        #: Text -> id of control, unknown and user-defined tokens: what only a template can say.
        self.special_tokens = special_tokens
        self._special_ids = frozenset(special_tokens.values())
        self._longest_first = sorted(special_tokens, key=lambda text: -len(text.encode("utf-8", "surrogatepass")))

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary, control tokens and unused ones included."""
        return len(self._texts)

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, on all cores, without the interpreter's lock.

        A lone surrogate, which no encoding of a file can hold, is read as U+FFFD.
        """
        try:
            found = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            well_formed = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
            found = self._plain.encode_batch_fast(well_formed, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text; a longer control token is looked for before a shorter one, as llama.cpp does."""
        parts: list[str | int] = [text]
        for special in self._longest_first:
            if special in text:
                parts = [piece for part in parts for piece in self._cut(part, special)]
        tokens: list[int] = []
        for part in parts:
            tokens.extend([part] if isinstance(part, int) else self.encode(part))
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``, control tokens by name; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self._token_bytes, tokens)).decode("utf-8", "replace")

    def is_special(self, token: int) -> bool:
        """Whether ``token`` is one that plain text never becomes."""
        return token in self._special_ids

    def _cut(self, part: str | int, special: str) -> Iterable[str | int]:
        if isinstance(part, int):
            yield part
            return
        first, *rest = part.split(special)
        if first:
            yield first
        for text in rest:
            yield self.special_tokens[special]
            if text:
                yield text

    def _token_bytes(self, token: int) -> bytes:
        text = self._texts[token]
        if token not in self._special_ids:
            try:
                return bytes(map(BYTE_OF_CHARACTER.__getitem__, text))
            except KeyError:
                pass  # a white-space token is written as it is
        return text.encode("utf-8", "surrogateescape")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte: itself where printable, else the next free one from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


#: GPT-2's character -> the byte it stands for.
BYTE_OF_CHARACTER = _byte_alphabet()
