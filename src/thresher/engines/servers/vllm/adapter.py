"""vLLM's server: what it is, which route to label probabilities it has, and its typed errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.transport import Client, Refusal
from thresher.engines.servers.fault import (
    AbsentError,
    BadAnswerError,
    BadRequestError,
    ServerError,
    ServerFailedError,
    TooLongError,
)
from thresher.engines.servers.model_list import fingerprint_of, model_cards, wanted_card
from thresher.engines.servers.next_token import Route, score_by
from thresher.engines.servers.remote import Remote
from thresher.engines.servers.remote_tokenizer import RemoteTokenizer
from thresher.engines.servers.served_template import ServedTemplate
from thresher.engines.servers.vllm.routes import AllowedTokens, Completions, GenerativeScoring, NamedTokens
from thresher.engines.servers.vocabulary import Vocabulary, vocabulary_of_files
from thresher.errors import UsageError
from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores

#: Every vocabulary has these, and nothing is expected of what follows them.
_PROBE_PROMPT = (0, 1, 2)
_PROBE_TOKENS = (3, 4, 5)
#: What ``--max-logprobs`` may allow, the most first.
_TOPS = (20, 5, 1)
_ROUNDING = 1e-3
#: Figures after the choice was narrowed are compared with a known token's, which takes one place of the list.
_LEAST_TOP_NARROWED = 2


class Vllm:
    """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """By the owner that it gives its models."""
        return any(card.get("owned_by") == "vllm" for card in await model_cards(client))

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> VllmAdapter:
        """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""
        client.understanding(_translate)
        card = await wanted_card(client)
        version = await _version(client)
        wire = _Wire(client, str(card["id"]))
        vocabulary = await _vocabulary(client, wishes, card.get("root"), wire)
        route, notices = await _route(client, str(card["id"]))
        facts = ServerFacts(
            version=f"vLLM {version}",
            model=str(card["id"]),
            model_fingerprint=fingerprint_of("vllm", card["id"], card.get("root")),
            context_tokens=_context_tokens(client, card.get("max_model_len"), wishes),
            notices=(*vocabulary.notices, *notices),
        )
        return VllmAdapter(client, facts, vocabulary, route)


@dataclass(frozen=True, slots=True)
class VllmAdapter:
    """See :class:`~thresher.engines.servers.adapter.Adapter`."""

    client: Client
    facts: ServerFacts
    vocabulary: Vocabulary
    route: Route

    @property
    def tokenizer(self) -> Tokenizer:
        """The served model's."""
        return self.vocabulary.tokenizer

    @property
    def chat(self) -> ChatFormat:
        """The served model's."""
        return self.vocabulary.chat

    async def check(self) -> None:
        """Whether its engine is alive; it says so without a word."""
        try:
            await self.client.get("/health")
        except BadAnswerError:
            return

    async def score(self, request: Request, lane: int) -> Scores:  # noqa: ARG002 - it minds its requests itself
        """One request for each branching that matters."""
        return await score_by(self.route, request)

    async def close(self) -> None:
        """Nothing is kept on it."""


class _Wire:
    """Its tokenizer and its chat template."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._remote = Remote(client)
        self._model = model

    async def ask(self, text: str) -> Sequence[int]:
        """The tokens of one text, within the loop."""
        return _tokens(await self._client.post("/tokenize", self._tokenize(text)))

    def tokens_of(self, texts: Sequence[str]) -> list[list[int]]:
        """See :class:`~thresher.engines.servers.remote_tokenizer.TokenWire`."""
        return list(map(_tokens, self._remote.post_all("/tokenize", [self._tokenize(text) for text in texts])))

    def text_of(self, tokens: Sequence[int]) -> str:
        """See :class:`~thresher.engines.servers.remote_tokenizer.TokenWire`."""
        answer = self._remote.post("/detokenize", {"model": self._model, "tokens": list(tokens)})
        if not isinstance(answer, dict) or not isinstance(answer.get("prompt"), str):
            raise BadAnswerError("/detokenize gave no text")
        return str(answer["prompt"])

    def render(self, messages: Sequence[Any], *, add_generation_prompt: bool) -> str:
        """See :class:`~thresher.engines.servers.served_template.Renderer`."""
        body = {
            "model": self._model, "messages": list(messages), "add_generation_prompt": add_generation_prompt,
            "add_special_tokens": False, "chat_template_kwargs": {"enable_thinking": False},
        }  # fmt: skip
        return self.text_of(_tokens(self._remote.post("/tokenize", body)))

    def _tokenize(self, text: str) -> dict[str, Any]:
        return {"model": self._model, "prompt": text, "add_special_tokens": False}


def _tokens(answer: Any) -> list[int]:
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise BadAnswerError("/tokenize gave no tokens")
    return tokens


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


async def _vocabulary(client: Client, wishes: Wishes, root: object, wire: _Wire) -> Vocabulary:
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


async def _route(client: Client, model: str) -> tuple[Route, tuple[str, ...]]:
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


def _are_logprobs(values: Sequence[float] | Any) -> bool:
    """Servers may be told to give logits in their place (``--logprobs-mode raw_logits``)."""
    return math.fsum(math.exp(min(value, 1.0)) for value in values) <= 1 + _ROUNDING
