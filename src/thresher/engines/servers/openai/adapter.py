"""Any OpenAI-compatible endpoint: messages of text in, a label out, its probability where the endpoint tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from thresher.answers import Answer, AnswerTrie, AnswerWalk, Path
from thresher.engines.servers.adapter import ServerFacts, Wishes
from thresher.engines.servers.client.transport import Client, Refusal
from thresher.engines.servers.fault import AbsentError, BadRequestError, ServerError, TooLongError
from thresher.engines.servers.model_list import fingerprint_of, model_cards, wanted_card
from thresher.engines.servers.openai.chat import ChatRoute, Completion
from thresher.engines.servers.openai.replies import NoLabelError, said, surface
from thresher.engines.servers.openai.shares import Shares, shares
from thresher.engines.servers.openai.terms import Terms, find_terms
from thresher.engines.servers.openai.turns import TOKENIZER, Replies, TurnFormat, messages_of
from thresher.errors import UsageError
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores

#: Under these names endpoints state the context of a model in their list of models.
_CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
#: The codes of errors that say that a prompt is too long: OpenAI's, and llama-server's type.
_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
#: Texts denser than the sample (figures, tables) have fewer bytes in a token; so much room is left for them.
_DENSE_TEXT_SHARE = 0.8
_SMALLEST_SHARE = 1e-30


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
        context_tokens = wishes.context_tokens or _stated_context(card)
        if wishes.context_tokens is not None and terms.bytes_per_token is None:
            raise UsageError(
                f"--context {wishes.context_tokens:,}: {client.address} does not count tokens, so nothing can be fitted "
                "into a context; leave the option out, and documents that it refuses as too long are set aside"
            )
        facts = ServerFacts(
            version="OpenAI-compatible",
            model=str(card["id"]),
            model_fingerprint=fingerprint_of("openai", client.address.url, card["id"]),
            context_tokens=context_tokens if terms.bytes_per_token else 0,
            bytes_per_token=terms.bytes_per_token and terms.bytes_per_token * _DENSE_TEXT_SHARE,
            exact_probabilities=terms.top_logprobs is not None,
            notices=_notices(terms, context_tokens),
        )
        return OpenAiAdapter(client, facts, chat, terms)


@dataclass(slots=True)
class OpenAiAdapter:
    """See :class:`~thresher.engines.servers.adapter.Adapter`."""

    client: Client
    facts: ServerFacts
    _chat_route: ChatRoute
    _terms: Terms
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
            await self.client.get(f"{self.client.address.openai_url}/models")
        except (AbsentError, BadRequestError):
            return

    async def score(self, request: Request, lane: int) -> Scores:  # noqa: ARG002 - it minds its requests itself
        """A request for each question, and one more for each branch of labels with children that matters."""
        prefix = [*request.prompt.prefix_tokens, *request.document_tokens]
        answers: list[Answer] = []
        told: list[Completion] = []
        for question in request.prompt.questions:
            asking = _Asking(self, [*prefix, *question.suffix_tokens], self._replies_of(question.trie))
            answers.append(await asking.answer())
            told += asking.told
        cached_tokens = sum(completion.cached_tokens for completion in told)
        return Scores(
            request_id=request.request_id,
            answers=tuple(answers),
            computed_tokens=sum(completion.prompt_tokens or 0 for completion in told) - cached_tokens,
            cached_tokens=cached_tokens,
        )

    async def forget(self) -> None:
        """Nothing is kept on it."""

    async def close(self) -> None:
        """Nothing is kept on it."""

    async def ask(self, tokens: Sequence[int], options: Sequence[str]) -> tuple[Completion, int, Shares | None]:
        """One reply to a conversation, the option that it says, and how likely each was where that is told."""
        found = await self._chat_route.complete(messages_of(tokens), **self._terms.fields(options))
        if found.reasoning.strip():
            raise NoLabelError("the model thought before it answered: turn that off at the server")
        form = self._terms.form
        choice = said(found.content, options, form)
        replies = surface(found.content, options, form, choice)
        return found, choice, shares(replies, choice, found.places) if replies and found.places else None

    @property
    def tells_mass(self) -> bool:
        """Whether token probabilities are those of free decoding; within a structure endpoints differ."""
        return self._terms.form == "plain"

    def _replies_of(self, trie: AnswerTrie) -> Replies:
        """Kept with its trie, so that the identity stays its own."""
        known = self._replies.get(id(trie))
        if known is None or known[0] is not trie:
            if len(self._replies) >= 64:
                self._replies.clear()
            known = self._replies[id(trie)] = (trie, Replies(trie))
        return known[1]


class _Asking:
    """One question of one document."""

    def __init__(self, adapter: OpenAiAdapter, prompt: Sequence[int], replies: Replies) -> None:
        self.told: list[Completion] = []
        self._adapter = adapter
        self._prompt = prompt
        self._replies = replies
        self._known: dict[Path, tuple[int, Shares | None]] = {}

    async def answer(self) -> Answer:
        """With probabilities where every branching that matters tells them, else the label that was said."""
        walk = AnswerWalk(self._replies.steps)
        while paths := walk.wanted():
            for path in paths:
                _, found = await self._at(path)
                if found is None:
                    return await self._said()
                walk.observe(path, [math.log(max(share, _SMALLEST_SHARE)) for share in found.probabilities])
                if not path and self._adapter.tells_mass:
                    walk.observe_label_mass(found.mass)
        return walk.answer()

    async def _said(self) -> Answer:
        """Down the tree by what was said."""
        path = self._replies.steps.root_path
        while path is not None:
            branching = self._replies.steps.branchings[path]
            choice, _ = await self._at(path)
            path, members = branching.next_paths[choice], branching.members[choice]
        return Answer((), None, choice=members[0])

    async def _at(self, path: Path) -> tuple[int, Shares | None]:
        if path not in self._known:
            tokens = [*self._prompt, *self._replies.tokens(path)]
            completion, choice, found = await self._adapter.ask(tokens, self._replies.options(path))
            self.told.append(completion)
            self._known[path] = (choice, found)
        return self._known[path]


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
    elif terms.form == "json":
        notices.append("replies are structured, so label_mass is null")
    if context_tokens and terms.bytes_per_token:
        notices.append(
            f"documents are fitted by bytes: {terms.bytes_per_token:.2f} make a token of a sample text here, and "
            f"{1 - _DENSE_TEXT_SHARE:.0%} of the context is left for denser ones"
        )
    else:
        notices.append("no context is known: documents are sent whole, and those refused as too long are set aside")
    return tuple(notices)
