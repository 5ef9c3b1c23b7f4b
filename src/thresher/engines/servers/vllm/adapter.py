"""vLLM's server: what it is, which route to label probabilities it has, and its typed errors."""

from __future__ import annotations

from http import HTTPStatus

from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.refusal import Refusal
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import (
    AbsentError,
    BadAnswerError,
    ServerError,
    TooLongError,
)
from thresher.engines.servers.model_list import fingerprint_of, model_cards, wanted_card
from thresher.engines.servers.remote_tokenizer import RemoteTokenizer
from thresher.engines.servers.served_template import ServedTemplate
from thresher.engines.servers.token_adapter import TokenAdapter
from thresher.engines.servers.vllm.finding import find_route
from thresher.engines.servers.vllm.wire import VllmWire
from thresher.engines.servers.vocabulary import Vocabulary, vocabulary_of_files
from thresher.errors import UsageError


class Vllm:
    """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """By the owner that it gives its models."""
        return any(card.get("owned_by") == "vllm" for card in await model_cards(client))

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> TokenAdapter:
        """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""
        client.understanding(_translate)
        card = await wanted_card(client)
        version = await _version(client)
        wire = VllmWire(client, str(card["id"]))
        vocabulary = await _vocabulary(client, wishes, card.get("root"), wire)
        route, notices = await find_route(client, str(card["id"]))
        facts = ServerFacts(
            version=f"vLLM {version}",
            model=str(card["id"]),
            model_fingerprint=fingerprint_of("vllm", card["id"], card.get("root")),
            context_tokens=_context_tokens(client, card.get("max_model_len"), wishes),
            notices=(*vocabulary.notices, *notices),
        )
        return TokenAdapter(client, facts, vocabulary, route)


def _translate(refusal: Refusal) -> ServerError | None:
    """Too long is the one refusal that vLLM gives a field of its own: the parameter at fault."""
    if refusal.status == HTTPStatus.BAD_REQUEST and refusal.error_field("param") in {"input_tokens", "input_text"}:
        return TooLongError(f"the server refuses the prompt as too long: {refusal.error_field('message')}")
    return None


async def _version(client: Client) -> str:
    try:
        answer = await client.get("/version")
    except (AbsentError, BadAnswerError):
        return "of unknown version"
    return str(answer.get("version", "of unknown version")) if isinstance(answer, dict) else "of unknown version"


async def _vocabulary(client: Client, wishes: Wishes, root: object, wire: VllmWire) -> Vocabulary:
    found = await vocabulary_of_files(client.address, wishes, [root], wire.ask)
    if found is not None:
        return found
    try:
        await wire.ask("a")
    except AbsentError as error:
        raise UsageError(
            f"{client.address} has no /tokenize; name the files of its model: --tokenizer owner/repo, or a folder"
        ) from error
    tokenizer = RemoteTokenizer(wire)
    return Vocabulary(tokenizer, ServedTemplate(wire, tokenizer))


def _context_tokens(client: Client, stated: object, wishes: Wishes) -> int:
    if isinstance(stated, int):
        return stated
    if wishes.context_tokens is None:
        raise UsageError(f"{client.address} does not say how long its requests may be; say it: --context N")
    return wishes.context_tokens
