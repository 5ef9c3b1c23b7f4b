"""``/v1/completions`` of vLLM for one token, with log probabilities by token id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.next_token import check_length, checked_logprobs

#: One greedy token; penalties and sampling that a model's ``generation_config.json`` may set are switched off.
_GREEDY: Mapping[str, Any] = {
    "max_tokens": 1, "temperature": 0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "ignore_eos": True, "return_tokens_as_token_ids": True,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NextToken:
    """One token of a completion: the one sampled, and the log probabilities that came with it."""

    sampled: int
    logprobs: Mapping[int, float]  # the sampled token's among them
    prompt_tokens: int
    cached_tokens: int


class Completions:
    """Asks ``/v1/completions`` for one token."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model

    async def next_token(self, prompt: Sequence[int], **fields: Any) -> NextToken:
        """What comes after ``prompt``. Raises ``ServerError``."""
        body = {"model": self._model, "prompt": list(prompt), **_GREEDY, **fields}
        answer = await self._client.post("/v1/completions", body)
        try:
            logprobs, usage = answer["choices"][0]["logprobs"], answer["usage"]
            top = {_token_id(name): value for name, value in logprobs["top_logprobs"][0].items()}
            sampled = _token_id(logprobs["tokens"][0])
            top[sampled] = logprobs["token_logprobs"][0]
            check_length(len(prompt), usage["prompt_tokens"])
            return NextToken(
                sampled=sampled,
                logprobs=dict(zip(top, checked_logprobs(list(top.values())), strict=True)),
                prompt_tokens=usage["prompt_tokens"],
                cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswerError(
                f"{self._client.address}: the completion lacks a token with its log probabilities"
            ) from error


def _token_id(name: str) -> int:
    return int(name.removeprefix("token_id:"))
