"""The server's own tokenizer, over ``/tokenize``, which tells control tokens from text that looks like them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.remote import Remote

#: Each connection holds a thread of the server until it was idle for 5 s, and one that comes while all threads are held
#: may wait as long: with eight at once and b11549, two of six starts did.
_AT_ONCE = 2


class ServerTokenizer:
    """A :class:`~thresher.models.tokenizer.Tokenizer` that asks the server; called from outside the engine's loop."""

    def __init__(self, client: Client, vocabulary_size: int) -> None:
        self._address = client.address
        self._remote = Remote(client, at_once=_AT_ONCE)
        self._vocabulary_size = vocabulary_size

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary."""
        return self._vocabulary_size

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""
        return self._remote.run(self.tokenize(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As ``encode``, several at a time."""
        return self._remote.run(self._tokenize_all(texts))

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text."""
        return self._remote.run(self.tokenize(text, with_control=True))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``."""
        answer = self._remote.post("/detokenize", {"tokens": list(tokens)})
        content = answer.get("content") if isinstance(answer, dict) else None
        if not isinstance(content, str):
            raise BadAnswerError(f"{self._address}: the answer of /detokenize has no content")
        return content

    async def tokenize(self, text: str, *, with_control: bool = False, with_start: bool = False) -> list[int]:
        """What ``/tokenize`` gives; ``with_start``: with what the model's file wants in front."""
        if not text and not with_start:
            return []
        body = {"content": _well_formed(text), "parse_special": with_control, "add_special": with_start}
        answer = await self._remote.ask("/tokenize", body)
        try:
            return [int(token) for token in answer["tokens"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswerError(f"{self._address}: the answer of /tokenize has no tokens") from error

    async def _tokenize_all(self, texts: Sequence[str]) -> list[list[int]]:
        return await asyncio.gather(*map(self.tokenize, texts))


def _well_formed(text: str) -> str:
    """Lone surrogates, which JSON cannot carry as UTF-8, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
