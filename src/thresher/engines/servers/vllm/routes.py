"""The ways of asking vLLM how likely chosen tokens are to come next, the best first.

=====================  ==================================  ==================================================
route                  requests for n tokens               offered
=====================  ==================================  ==================================================
``NamedTokens``        1 for each 128                      ``logprob_token_ids`` in completions (2026)
``AllowedTokens``      1, and 1 for each likely token      ``allowed_token_ids`` and ``logprobs`` in completions
                       that is not among the likeliest
``GenerativeScoring``  n                                   ``/generative_scoring`` (2026); a label a request
=====================  ==================================  ==================================================

Log probabilities of the prompt (``prompt_logprobs``) are never asked for: they cost a softmax over the vocabulary for
every token read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from thresher.answers import UNEXPLORED_MASS_LIMIT
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.engines.servers.next_token import Reading, check_length, checked_logprobs, joined, mass_of
from thresher.engines.servers.vllm.completions import Completions, NextToken

#: vLLM's own limit of ``logprob_token_ids``.
_NAMED_AT_A_TIME = 128


class NamedTokens:
    """Asks for the log probabilities of named tokens."""

    def __init__(self, completions: Completions, *, normalised: bool) -> None:
        """``normalised``: what the server gives are log probabilities over the vocabulary, not logits."""
        self._completions = completions
        self._normalised = normalised

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        groups = [tokens[start : start + _NAMED_AT_A_TIME] for start in range(0, len(tokens), _NAMED_AT_A_TIME)]
        return joined([await self._read(prompt, group) for group in groups])

    async def _read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        found = await self._completions.next_token(prompt, logprobs=1, logprob_token_ids=list(tokens))
        try:
            logprobs = tuple(found.logprobs[token] for token in tokens)
        except KeyError as error:
            raise BadAnswerError(f"the completion lacks the log probability of token {error}") from error
        return Reading(
            logprobs=logprobs,
            mass=mass_of(logprobs) if self._normalised else None,
            prompt_tokens=found.prompt_tokens,
            cached_tokens=found.cached_tokens,
        )


class AllowedTokens:
    """Lets the server choose among the valid tokens; the likely ones come first, the rest while it matters.

    The token chosen is the likeliest of those allowed and comes with its log probability even where it is not among
    the likeliest of the vocabulary. So each request settles one token at least, and bounds all that are left: none of
    them is likelier than the one chosen.
    """

    def __init__(self, completions: Completions, *, top: int, raw: bool, normalised: bool) -> None:
        """``top``: how many of the likeliest the server lists; ``raw``: their figures are those before the choice was
        narrowed.
        """
        self._completions = completions
        self._top = top
        self._raw = raw
        self._normalised = normalised

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        known: dict[int, float] = {}
        prompt_tokens = cached_tokens = 0
        left = list(tokens)
        while left:
            found = await self._completions.next_token(
                prompt, logprobs=self._top, allowed_token_ids=self._asked(left, known)
            )
            prompt_tokens += found.prompt_tokens
            cached_tokens += found.cached_tokens
            known |= self._settled(found, left, known)
            left = [token for token in left if token not in known]
            bound = min(known.values())
            if left and len(left) * math.exp(bound - max(known.values())) < UNEXPLORED_MASS_LIMIT / 2:
                known |= dict.fromkeys(left, bound)
                break
        logprobs = tuple(known[token] for token in tokens)
        exact = self._raw and self._normalised
        return Reading(
            logprobs=logprobs,
            mass=mass_of(logprobs) if exact else None,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
        )

    def _asked(self, left: Sequence[int], known: Mapping[int, float]) -> list[int]:
        """What is not known yet; figures after narrowing need a known token among them to be compared with."""
        if self._raw or not known:
            return list(left)
        return [max(known, key=known.__getitem__), *left]

    def _settled(self, found: NextToken, left: Sequence[int], known: Mapping[int, float]) -> dict[int, float]:
        """The tokens of ``left`` that ``found`` has a figure for, on the scale of those known."""
        shift = 0.0
        if known and not self._raw:
            reference = max(known, key=known.__getitem__)
            shift = known[reference] - found.logprobs[reference]
        settled = {token: found.logprobs[token] + shift for token in left if token in found.logprobs}
        if not settled:
            raise BadAnswerError("the server chose a token that was not allowed, or gave no log probability of it")
        return settled


class GenerativeScoring:
    """Asks ``/generative_scoring``, which tells the probability of the first of the label tokens it is given."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        """See :class:`~thresher.engines.servers.next_token.Route`."""
        parts = [await self._read(prompt, token) for token in tokens]
        if not any(part.mass for part in parts):
            raise BadAnswerError(f"{self._client.address}: all {len(tokens)} valid tokens have the probability 0")
        return joined(parts)

    async def _read(self, prompt: Sequence[int], token: int) -> Reading:
        body = {
            "model": self._model, "query": [], "items": [list(prompt)], "label_token_ids": [token],
            "apply_softmax": False, "add_special_tokens": False,
        }  # fmt: skip
        answer = await self._client.post("/generative_scoring", body)
        try:
            score, read_tokens = answer["data"][0]["score"], answer["usage"]["prompt_tokens"]
            check_length(len(prompt), read_tokens)
            logprob = math.log(score) if score > 0 else -math.inf
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadAnswerError(f"{self._client.address}: /generative_scoring gave no score") from error
        return Reading(logprobs=checked_logprobs([logprob]), mass=float(score), prompt_tokens=read_tokens)
