"""What an adapter is: it translates between the engine and one kind of server, and does nothing else.

Requests, capabilities and errors are its business; connections, retries, how many requests at once, balance and health
are the engine's. Everything here runs in the engine's event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from thresher.engines.servers.client.transport import Client
from thresher.models.chat_format import ChatFormat
from thresher.models.model import Model
from thresher.models.tokenizer import Tokenizer
from thresher.types import Request, Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asked for, as far as an adapter minds."""

    tokenizer: Model | None = None  # of --tokenizer: files whose tokenizer and chat template the served model has
    context_tokens: int | None = None  # of --context
    may_read_files: bool = True  # whether a path that the server names may be looked for on this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What one server says of itself, and what its adapter found out. None and "" where it does not say."""

    version: str
    model: str  # the model's name for people
    model_fingerprint: str  # of all that the server says of its model; servers with one fingerprint may share a run
    precision: str = "unknown"
    context_tokens: int  # the largest request: prefix, document, suffix and answer; 0 where the server does not say
    bytes_per_token: float | None = None  # of an endpoint without a tokenizer, whose "tokens" are bytes
    slots: int | None = None  # requests that it reads at once, where it says; None lets the engine find out
    exact_probabilities: bool = True
    shares_prefix: bool = False
    notices: tuple[str, ...] = ()  # for people: what was found out, what is missing, what cannot be told


class Adapter(Protocol):
    """One server, connected. Made by an :class:`AdapterKind`; its client is closed by the engine.

    When the server was away, a new adapter is made for it, so what one remembers of its server stays true.
    """

    @property
    def facts(self) -> ServerFacts:
        """What is known of the server; does not change."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The served model's; called from other threads than the loop's. An endpoint without any tokenizer gives one
        whose tokens are pieces of text, and ``score`` puts them together again.
        """

    @property
    def chat(self) -> ChatFormat:
        """The served model's chat template, or what stands in for it."""

    async def check(self) -> None:
        """Whether the server can read now. Cheap. Raises ``ServerError`` when not."""

    async def score(self, request: Request, lane: int) -> Scores:
        """Read one request. It may be given again after a fault, so nothing may depend on how far it came.

        ``lane`` is a number below the requests in flight, held by this request alone for as long as it runs; a server
        with ``slots`` slots never sees a lane of ``slots`` or more. What goes wrong with the request is raised as a
        ``ServerError`` too; the engine makes it a ``Failure`` where trying again is no use. ``Scores`` count computed
        and cached prompt tokens as the server reports them, or as they are known to be.
        """

    async def close(self) -> None:
        """Remove what was left on the server, as far as it lets. May raise ``ServerError``, which is passed over."""


class AdapterKind(Protocol):
    """What a name in ``adapters.ADAPTERS`` leads to."""

    @staticmethod
    async def recognises(client: Client) -> bool:
        """Whether the server is of this kind, by asking it. Raises ``ServerError`` when it cannot be asked."""

    @staticmethod
    async def connect(client: Client, wishes: Wishes) -> Adapter:
        """Ask the server what it is and can do; teach ``client`` its typed errors (``client.understanding``).

        Raises:
            ServerError: it cannot be asked, or is not of this kind.
            UsageError: a wish that it cannot serve.
            ModelError: its tokenizer or its chat template cannot be used.
        """
