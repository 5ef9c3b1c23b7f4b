"""The server's own tokenizer, over ``/tokenize``; and whether another gives the same tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from thresher.engines.servers.client.retry import Backoff
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError, ServerError
from thresher.errors import EngineError
from thresher.models.tokenizer import PROBES, Tokenizer

T = TypeVar("T")
_AT_ONCE = 8
_ATTEMPTS = 6


class ServerTokenizer:
    """A :class:`~thresher.models.tokenizer.Tokenizer` that asks the server; called from outside the engine's loop."""

    def __init__(self, client: Client, vocabulary_size: int) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._vocabulary_size = vocabulary_size

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary."""
        return self._vocabulary_size

    def encode(self, text: str) -> list[int]:
        """Tokens of ``text`` as plain text."""
        return self._wait(self.tokenize(text))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """As ``encode``, several at a time."""
        return self._wait(self._tokenize_all(texts))

    def encode_template(self, text: str) -> list[int]:
        """Tokens of a template's text."""
        return self._wait(self.tokenize(text, with_control=True))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ``tokens``."""
        return self._wait(self._detokenize(tokens))

    async def tokenize(self, text: str, *, with_control: bool = False, with_start: bool = False) -> list[int]:
        """What ``/tokenize`` gives; ``with_start``: with what the model's file wants in front."""
        if not text and not with_start:
            return []
        body = {"content": _well_formed(text), "parse_special": with_control, "add_special": with_start}
        answer = await self._ask("/tokenize", body)
        try:
            return [int(token) for token in answer["tokens"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BadAnswerError(f"{self._client.address}: the answer of /tokenize has no tokens") from error

    async def _tokenize_all(self, texts: Sequence[str]) -> list[list[int]]:
        return await asyncio.gather(*map(self.tokenize, texts))

    async def _detokenize(self, tokens: Sequence[int]) -> str:
        answer = await self._ask("/detokenize", {"tokens": list(tokens)})
        content = answer.get("content") if isinstance(answer, dict) else None
        if not isinstance(content, str):
            raise BadAnswerError(f"{self._client.address}: the answer of /detokenize has no content")
        return content

    async def _ask(self, path: str, body: Any) -> Any:
        """Again after what passes: a text must not be lost because the server was away for a moment."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._room:
                    return await self._client.post(path, body)
            except ServerError as fault:
                if not fault.passes or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(Backoff().pause_s(attempt))
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise EngineError("the engine is closed; open a new one")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def first_difference(server: ServerTokenizer, other: Tokenizer) -> str | None:
    """A text that both cut into different tokens; None where none was found."""
    for probe, tokens in zip(PROBES, await asyncio.gather(*map(server.tokenize, PROBES)), strict=True):
        if other.encode(probe) != tokens:
            return probe
    return None


def _well_formed(text: str) -> str:
    """Lone surrogates, which JSON cannot carry as UTF-8, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
