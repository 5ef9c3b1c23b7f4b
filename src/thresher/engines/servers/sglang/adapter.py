"""SGLang's server: what it is, which route to label probabilities it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError, BadRequestError, ServerFailedError
from thresher.engines.servers.model_list import fingerprint_of, model_cards, wanted_card
from thresher.engines.servers.next_token import Route
from thresher.engines.servers.sglang.routes import BiasedTokens, Generate, NamedTokens, Scoring
from thresher.engines.servers.token_adapter import TokenAdapter
from thresher.engines.servers.vocabulary import Vocabulary, vocabulary_of_files
from thresher.errors import UsageError

_PROBE_PROMPT = (0, 1, 2)
_PROBE_TOKENS = (3, 4, 5)


class Sglang:
    """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """By the owner that it gives its models."""
        return any(card.get("owned_by") == "sglang" for card in await model_cards(client))

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> TokenAdapter:
        """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""
        card = await wanted_card(client)
        info = await _first_of(client, "/get_server_info", "/server_info")
        paths = await _first_of(client, "/get_model_info", "/model_info")
        vocabulary = await _vocabulary(client, wishes, [paths.get("tokenizer_path"), paths.get("model_path")])
        route, notices = await _route(client, str(card["id"]), info)
        facts = ServerFacts(
            version=f"SGLang {info.get('version', 'of unknown version')}",
            model=str(card["id"]),
            model_fingerprint=fingerprint_of(
                "sglang", card["id"], paths.get("model_path"), paths.get("weight_version")
            ),
            context_tokens=_context_tokens(client, card, info, wishes),
            notices=(*vocabulary.notices, *notices),
        )
        return TokenAdapter(client, facts, vocabulary, route)


async def _first_of(client: Client, *paths: str) -> Mapping[str, Any]:
    """The object at the first of ``paths`` that the server has; their names differ from version to version."""
    for path in paths:
        try:
            answer = await client.get(path)
        except (AbsentError, BadAnswerError):
            continue
        if isinstance(answer, dict):
            return answer
    return {}


async def _vocabulary(client: Client, wishes: Wishes, paths: Sequence[object]) -> Vocabulary:
    async def ask_tokens(text: str) -> Sequence[int]:
        answer = await client.post("/tokenize", {"prompt": text, "add_special_tokens": False})
        tokens = answer.get("tokens") if isinstance(answer, dict) else None
        if not isinstance(tokens, list):
            raise BadAnswerError(f"{client.address}: /tokenize gave no tokens")
        return tokens

    found = await vocabulary_of_files(client.address, wishes, paths, ask_tokens)
    if found is None:
        raise UsageError(
            f"{client.address}: SGLang does not tell its chat template, and {paths[0] or 'its model'} is no folder of "
            "this machine; name the files of its model: --tokenizer owner/repo, or a folder"
        )
    return found


def _context_tokens(client: Client, card: Mapping[str, Any], info: Mapping[str, Any], wishes: Wishes) -> int:
    """The context, or what the scheduler takes as a prompt if that is less, and the token after it."""
    stated = [card.get("max_model_len"), info.get("context_length")]
    longest_prompt = info.get("max_req_input_len")
    if isinstance(longest_prompt, int):
        stated.append(longest_prompt + 1)
    known = [length for length in stated if isinstance(length, int)]
    if not known and wishes.context_tokens is None:
        raise UsageError(f"{client.address} does not say how long its requests may be; say it: --context N")
    return min(known, default=wishes.context_tokens or 0)


async def _route(client: Client, model: str, info: Mapping[str, Any]) -> tuple[Route, tuple[str, ...]]:
    """The best route that the server has, found by trying. Raises ``ServerError``."""
    candidates: list[tuple[Route, tuple[str, ...]]] = [
        (NamedTokens(Generate(client, new_tokens=0)), ()),
        (NamedTokens(Generate(client, new_tokens=1)), ()),
    ]
    if info.get("multi_item_scoring_delimiter") is None:
        notice = (
            "the server tells neither cached tokens nor, maybe, the end of an answer: labels that begin others fail"
        )
        candidates.append((Scoring(client, model), (notice,)))
    candidates.append(
        (BiasedTokens(Generate(client, new_tokens=1)), ("the server cannot tell label_mass: it is null",))
    )
    for route, notices in candidates:
        try:
            await route.read(_PROBE_PROMPT, _PROBE_TOKENS)
        except (AbsentError, BadRequestError, BadAnswerError, ServerFailedError):
            continue
        return route, notices
    raise AbsentError(
        f"{client.address}: the server gives no log probabilities of chosen tokens (neither through /generate nor "
        "through /v1/score); use a newer SGLang, or --engine openai"
    )
