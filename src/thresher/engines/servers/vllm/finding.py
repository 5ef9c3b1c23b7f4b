"""Which route to label probabilities a vLLM server has: found by trying, for versions and settings differ."""

from __future__ import annotations

import math
from collections.abc import Collection

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError, BadRequestError, ServerFailedError
from thresher.engines.servers.next_token import Route
from thresher.engines.servers.vllm.completions import Completions
from thresher.engines.servers.vllm.routes import AllowedTokens, GenerativeScoring, NamedTokens

#: Every vocabulary has these, and nothing is expected of what follows them.
_PROBE_PROMPT = (0, 1, 2)
_PROBE_TOKENS = (3, 4, 5)
#: What ``--max-logprobs`` may allow, the most first.
_TOPS = (20, 5, 1)
_ROUNDING = 1e-3
#: Figures after the choice was narrowed are compared with a known token's, which takes one place of the list.
_LEAST_TOP_NARROWED = 2


async def find_route(client: Client, model: str) -> tuple[Route, tuple[str, ...]]:
    """The best route that the server has, found by trying. Raises ``ServerError``."""
    completions = Completions(client, model)
    found = await _named_tokens(completions) or await _allowed_tokens(completions)
    if found is not None:
        return found, ()
    scoring = GenerativeScoring(client, model)
    try:
        await scoring.read(_PROBE_PROMPT, _PROBE_TOKENS)
    except (AbsentError, BadRequestError, BadAnswerError, ServerFailedError) as fault:
        raise AbsentError(
            f"{client.address}: the server gives no log probabilities of chosen tokens, neither with completions nor "
            "through /generative_scoring; start it without --max-logprobs 0, or use --engine openai"
        ) from fault
    return scoring, ("the server tells the probability of one token a request: documents are read once for each label",)


async def _named_tokens(completions: Completions) -> NamedTokens | None:
    try:
        found = await completions.next_token(_PROBE_PROMPT, logprobs=1, logprob_token_ids=list(_PROBE_TOKENS))
    except (AbsentError, BadRequestError, BadAnswerError):
        return None
    if not all(token in found.logprobs for token in _PROBE_TOKENS):  # an older server passes over what it does not know
        return None
    return NamedTokens(completions, normalised=_are_logprobs(found.logprobs.values()))


async def _allowed_tokens(completions: Completions) -> AllowedTokens | None:
    """With one token allowed, its probability is 1 where figures are those after the choice was narrowed."""
    only = _PROBE_TOKENS[0]
    for top in _TOPS:
        try:
            found = await completions.next_token(_PROBE_PROMPT, logprobs=top, allowed_token_ids=[only])
        except BadRequestError:
            continue
        except (AbsentError, BadAnswerError):
            return None
        if found.sampled != only:
            return None
        raw = abs(found.logprobs[only]) > _ROUNDING
        if not raw and top < _LEAST_TOP_NARROWED:
            return None
        return AllowedTokens(completions, top=top, raw=raw, normalised=_are_logprobs(found.logprobs.values()))
    return None


def _are_logprobs(values: Collection[float]) -> bool:
    """Servers may be told to give logits in their place (``--logprobs-mode raw_logits``)."""
    return math.fsum(math.exp(min(value, 1.0)) for value in values) <= 1 + _ROUNDING
