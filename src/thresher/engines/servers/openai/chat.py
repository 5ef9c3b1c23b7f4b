"""``/chat/completions``: what is asked and what comes back, and nothing about labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.openai.shares import Place
from thresher.engines.servers.openai.turns import Message


@dataclass(frozen=True, slots=True)
class Completion:
    """One reply."""

    content: str
    reasoning: str  # what the model thought, where the endpoint tells it apart
    places: tuple[Place, ...]  # its tokens; empty where the endpoint does not tell their probabilities
    prompt_tokens: int | None
    cached_tokens: int


class ChatRoute:
    """One model of one endpoint."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        self._path = f"{client.address.openai_url}/chat/completions"

    @property
    def name(self) -> str:
        """The model and where it is, for people."""
        return f"{self._client.address}, model {self._model}"

    async def complete(self, messages: Sequence[Message], **fields: Any) -> Completion:
        """The reply to ``messages``. Raises ``ServerError``."""
        told = [{"role": message.role, "content": message.content} for message in messages]
        answer = await self._client.post(self._path, {"model": self._model, "messages": told, **fields})
        try:
            choice = answer["choices"][0]
            message = choice["message"]
            return Completion(
                content=message.get("content") or "",
                reasoning=message.get("reasoning_content") or message.get("reasoning") or "",
                places=_places((choice.get("logprobs") or {}).get("content") or ()),
                prompt_tokens=_count(answer.get("usage"), "prompt_tokens"),
                cached_tokens=_count((answer.get("usage") or {}).get("prompt_tokens_details"), "cached_tokens") or 0,
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswerError(f"{self._client.address}: the completion has no message") from error


def _places(content: Sequence[Mapping[str, Any]]) -> tuple[Place, ...]:
    return tuple(
        Place(
            token=_bytes(entry),
            probability=_probability(entry),
            listed={_bytes(top): _probability(top) for top in entry.get("top_logprobs") or ()},
        )
        for entry in content
    )


def _bytes(entry: Mapping[str, Any]) -> bytes:
    """A token's bytes: a part of a character has no text of its own."""
    given = entry.get("bytes")
    return bytes(given) if given is not None else str(entry["token"]).encode("utf-8", "replace")


def _probability(entry: Mapping[str, Any]) -> float:
    logprob = float(entry["logprob"])
    if math.isnan(logprob) or logprob > 1e-3:
        raise ValueError(f"a log probability is {logprob}")
    return math.exp(min(0.0, logprob))


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else None
