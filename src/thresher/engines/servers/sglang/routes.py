"""The ways of asking SGLang how likely chosen tokens are to come next, the best first.

================  ===========================================================================
route             offered
================  ===========================================================================
``NamedTokens``   ``/generate`` with ``token_ids_logprob``; with no token to generate where the server takes that
``Scoring``       ``/v1/score``: also behind gateways that pass on the OpenAI-compatible routes only
``BiasedTokens``  ``/generate`` with ``logit_bias`` and ``top_logprobs_num``: one guided token
================  ===========================================================================

All of them take one request for any number of tokens. Scoring several items in one sequence
(``--multi-item-scoring-delimiter``) is never used: items would see each other through a hybrid model's recurrent state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.next_token import Reading, check_length, checked_logprobs, mass_of

#: Added to the logits of valid tokens, so that they come before all others; the differences between them stay.
_BIAS = 100.0
_GREEDY: Mapping[str, Any] = {"temperature": 0, "ignore_eos": True}


class Generate:
    """Asks ``/generate`` for what comes next."""

    def __init__(self, client: Client, new_tokens: int) -> None:
        """``new_tokens``: 0 where the server reads without generating, else 1."""
        self._client = client
        self._new_tokens = new_tokens

    async def meta_info(self, prompt: Sequence[int], sampling: Mapping[str, Any], **fields: Any) -> Mapping[str, Any]:
        """What the server says about the prompt and the token after it. Raises ``ServerError``."""
        sampling = {**_GREEDY, "max_new_tokens": self._new_tokens, **sampling}
        body = {"input_ids": list(prompt), "sampling_params": sampling, "return_logprob": True, "logprob_start_len": -1}
        answer = await self._client.post("/generate", {**body, **fields})
        meta = answer.get("meta_info") if isinstance(answer, dict) else None
        if not isinstance(meta, dict):
            raise BadAnswerError(f"{self._client.address}: the answer of /generate has no meta_info")
        check_length(len(prompt), meta.get("prompt_tokens"))
        return meta


class NamedTokens:
    """Asks for the log probabilities of named tokens."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        meta = await self._generate.meta_info(prompt, {}, token_ids_logprob=list(tokens))
        found = _by_token(meta, "output_token_ids_logprobs")
        logprobs = _of(found, tokens)
        return _reading(meta, len(prompt), logprobs, mass_of(logprobs))


class BiasedTokens:
    """Lifts the valid tokens above all others and asks for the likeliest."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        bias = {"logit_bias": {str(token): _BIAS for token in tokens}, "max_new_tokens": 1}
        meta = await self._generate.meta_info(prompt, bias, top_logprobs_num=len(tokens))
        found = _by_token(meta, "output_top_logprobs")
        return _reading(meta, len(prompt), _of(found, tokens), None)


class Scoring:
    """Asks ``/v1/score``, which tells the probabilities of all label tokens."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        body = {
            "model": self._model, "query": [], "items": [list(prompt)], "label_token_ids": list(tokens),
            "apply_softmax": False, "item_first": False,
        }  # fmt: skip
        answer = await self._client.post("/v1/score", body)
        try:
            scores = [float(score) for score in answer["scores"][0]]
            read_tokens = (answer.get("usage") or {}).get("prompt_tokens")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswerError(f"{self._client.address}: /v1/score gave no scores") from error
        check_length(len(prompt), read_tokens)
        if len(scores) != len(tokens) or not any(score > 0 for score in scores):
            raise BadAnswerError(
                f"{self._client.address}: /v1/score gave {scores!r:.80} for {len(tokens)} valid tokens"
            )
        logprobs = checked_logprobs([math.log(score) if score > 0 else -math.inf for score in scores])
        return _reading({"prompt_tokens": read_tokens}, len(prompt), logprobs, math.fsum(scores))


def _by_token(meta: Mapping[str, Any], field: str) -> dict[int, Any]:
    """Token -> log probability at the first new position."""
    try:
        return {int(token): logprob for logprob, token, *_ in meta[field][0]}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadAnswerError(f"the answer of /generate lacks {field}") from error


def _of(found: Mapping[int, Any], tokens: Sequence[int]) -> tuple[float, ...]:
    missing = [token for token in tokens if token not in found]
    if missing:
        raise BadAnswerError(f"the answer of /generate lacks the log probabilities of the tokens {missing[:5]}")
    return checked_logprobs([found[token] for token in tokens])


def _reading(meta: Mapping[str, Any], sent_tokens: int, logprobs: tuple[float, ...], mass: float | None) -> Reading:
    read_tokens, cached_tokens = meta.get("prompt_tokens"), meta.get("cached_tokens")
    return Reading(
        logprobs=logprobs,
        mass=mass,
        prompt_tokens=read_tokens if isinstance(read_tokens, int) else sent_tokens,
        cached_tokens=cached_tokens if isinstance(cached_tokens, int) else 0,
    )
