"""Any OpenAI-compatible endpoint: messages of text in, a label out, its probability where the endpoint tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from thresher.answers import Answer, AnswerTrie
from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.refusal import Refusal
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadRequestError, ServerError, TooLongError
from thresher.engines.servers.model_list import fingerprint_of, model_cards, wanted_card
from thresher.engines.servers.openai.asking import Asking, ChatModel
from thresher.engines.servers.openai.chat import ChatRoute, Completion
from thresher.engines.servers.openai.terms import Terms, find_terms
from thresher.engines.servers.openai.turns import TOKENIZER, Replies, TurnFormat
from thresher.errors import UsageError
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores

#: Under these names endpoints state the context of a model in their list of models.
_CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
#: The codes of errors that say that a prompt is too long: OpenAI's, and llama-server's type.
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
#: Texts denser than the sample (figures, tables) have fewer bytes in a token; so much room is left for them.
_DENSE_TEXT_SHARE = 0.8
_HEALTH_DEADLINE_S = 10.0


class OpenAi:
    """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """By its list of models: there is nothing else that all have."""
        return bool(await model_cards(client, f"{client.address.openai_url}/models"))

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> OpenAiAdapter:
        """See :class:`~thresher.engines.servers.adapter.AdapterKind`."""
        client.understanding(_translate)
        if wishes.tokenizer is not None:
            raise UsageError(f"--tokenizer: {client.address} is asked in text, so no tokenizer is needed; leave it out")
        card = await _card(client)
        chat = ChatRoute(client, str(card["id"]))
        terms = await find_terms(chat)
        context_tokens = _stated_context(card) or wishes.context_tokens or 0
        facts = ServerFacts(
            version="OpenAI-compatible",
            model=str(card["id"]),
            model_fingerprint=fingerprint_of("openai", card["id"], card.get("owned_by")),
            context_tokens=context_tokens,
            bytes_per_token=terms.bytes_per_token * _DENSE_TEXT_SHARE,
            exact_probabilities=False,  # of texts, as far as the endpoint tells them
            notices=_notices(terms, context_tokens),
        )
        return OpenAiAdapter(client, facts, ChatModel(chat, terms))


@dataclass(slots=True)
class OpenAiAdapter:
    """See :class:`~thresher.engines.servers.adapter.Adapter`."""

    client: Client
    facts: ServerFacts
    _model: ChatModel
    _replies: dict[int, tuple[AnswerTrie, Replies]] = field(default_factory=dict)  # by the trie's identity

    @property
    def tokenizer(self) -> Tokenizer:
        """Bytes."""
        return TOKENIZER

    @property
    def chat(self) -> TurnFormat:
        """Messages."""
        return TurnFormat()

    async def check(self) -> None:
        """Whether it still lists its models, or at least answers."""
        try:
            path = f"{self.client.address.openai_url}/models"
            await self.client.get(path, deadline_s=min(_HEALTH_DEADLINE_S, self.client.deadline_s))
        except (AbsentError, BadRequestError):
            return

    async def score(self, request: Request, lane: int) -> Scores:  # noqa: ARG002 - it minds its requests itself
        """A request for each question, and one more for each branch of labels with children that matters."""
        prefix = [*request.prompt.prefix_tokens, *request.document_tokens]
        answers: list[Answer] = []
        told: list[Completion] = []
        for question in request.prompt.questions:
            asking = Asking(self._model, [*prefix, *question.suffix_tokens], self._replies_of(question.trie))
            answers.append(await asking.answer())
            told += asking.completions()
        cached_tokens = sum(completion.cached_tokens for completion in told)
        return Scores(
            request_id=request.request_id,
            answers=tuple(answers),
            computed_tokens=sum(completion.prompt_tokens or 0 for completion in told) - cached_tokens,
            cached_tokens=cached_tokens,
        )

    async def close(self) -> None:
        """Nothing is kept on it."""

    def _replies_of(self, trie: AnswerTrie) -> Replies:
        """Kept with its trie, so that the identity stays its own."""
        known = self._replies.get(id(trie))
        if known is None or known[0] is not trie:
            if len(self._replies) >= 64:
                self._replies.clear()
            known = self._replies[id(trie)] = (trie, Replies(trie))
        return known[1]


async def _card(client: Client) -> Mapping[str, Any]:
    """What the endpoint says of the model; with the model's name given, it need not list it."""
    if client.address.model is None:
        return await wanted_card(client, f"{client.address.openai_url}/models")
    try:
        cards = await model_cards(client, f"{client.address.openai_url}/models")
    except (AbsentError, BadRequestError):
        cards = []
    return next((card for card in cards if card["id"] == client.address.model), {"id": client.address.model})


def _stated_context(card: Mapping[str, Any]) -> int:
    """In tokens; 0 where it is not stated."""
    return next((card[name] for name in _CONTEXT_FIELDS if isinstance(card.get(name), int)), 0)


def _translate(refusal: Refusal) -> ServerError | None:
    names = {refusal.error_field("code"), refusal.error_field("type")}
    if refusal.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE} and names & _TOO_LONG:
        return TooLongError("the endpoint refuses the document as too long; give its --context to have documents cut")
    if refusal.status == HTTPStatus.BAD_REQUEST and refusal.error_field("param") == "input_tokens":
        return TooLongError("the endpoint refuses the document as too long; give its --context to have documents cut")
    return None


def _notices(terms: Terms, context_tokens: int) -> tuple[str, ...]:
    notices = ["the endpoint is asked in text: whether it tells control tokens in documents from text is up to it"]
    if terms.top_logprobs is None:
        notices.append("the endpoint tells no probabilities: they are null, and so is label_mass")
    if not terms.structured:
        notices.append("the endpoint keeps no reply to a schema: a reply that is no label is a failure")
    if context_tokens:
        notices.append(
            f"documents are fitted by bytes: {terms.bytes_per_token:.2f} make a token of a sample text here, and "
            f"{1 - _DENSE_TEXT_SHARE:.0%} of the context is left for denser ones"
        )
    else:
        notices.append("no context is known: documents are sent whole, and those refused as too long are set aside")
    return tuple(notices)
