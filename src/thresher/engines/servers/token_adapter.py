"""The adapter of a server that takes token ids and says how likely chosen tokens are to come next."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.engines.servers.adapter import ServerFacts
from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError
from thresher.engines.servers.next_token import Route, score_by
from thresher.engines.servers.vocabulary import Vocabulary
from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores

_HEALTH_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class TokenAdapter:
    """A server that takes token ids and has a route; see :class:`~thresher.engines.servers.adapter.Adapter`."""

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
        """Whether its engine is alive; it says so without a word. Gateways need not have the route."""
        try:
            await self.client.get("/health", deadline_s=_HEALTH_DEADLINE_S)
        except (AbsentError, BadAnswerError):
            return

    async def score(self, request: Request, lane: int) -> Scores:  # noqa: ARG002 - it minds its requests itself
        """One request for each branching that matters."""
        return await score_by(self.route, request)

    async def close(self) -> None:
        """Nothing is kept on it."""
