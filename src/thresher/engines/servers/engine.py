"""The engine over one or several servers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from thresher.closing import Closing
from thresher.engines.base import EngineInfo
from thresher.engines.servers.client.limit import START
from thresher.engines.servers.client.loop import LoopThread
from thresher.engines.servers.dispatcher import Dispatcher
from thresher.engines.servers.endpoint import Endpoint, close_all
from thresher.errors import EngineError
from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.types import Failure, Request, Scores

#: ``score`` is given this many requests for each that the servers read at once, so that few wait at a batch's end.
_REQUESTS_PER_LANE = 16
_TOKENS_PER_CALL = 1_000_000
#: Requests at the servers and answers that nobody has taken yet.
_MOST_IN_HAND = 1024


class ServerEngine(Closing):
    """Reads requests with servers. Made by :func:`~thresher.engines.servers.opening.connect`."""

    def __init__(self, loop: LoopThread, endpoints: Sequence[Endpoint], context_tokens: int) -> None:
        self._loop = loop
        self._endpoints = endpoints
        self._dispatcher = Dispatcher(endpoints)
        self._closed = False
        self._info = _info(endpoints, context_tokens)

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        """The served model's."""
        return self._endpoints[0].adapter.tokenizer

    @property
    def chat(self) -> ChatFormat:
        """The served model's chat template."""
        return self._endpoints[0].adapter.chat

    def is_away(self) -> bool:
        """Whether no server can be sent a request now; may be asked from any thread."""
        return not any(endpoint.up for endpoint in self._endpoints)

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        """See :class:`thresher.engines.base.Engine`. May be abandoned at any yield; one call at a time."""
        if self._closed:
            raise EngineError("the engine is closed; open a new one")
        return self._score(requests)

    def _score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        accepted = list[Request]()
        for request in requests:
            failure = self._refuse(request)
            if failure is None:
                accepted.append(request)
            else:
                yield Scores(request_id=request.request_id, failure=failure)
        if accepted:
            yield from self._loop.stream(lambda outlet: self._dispatcher.read(accepted, outlet), _MOST_IN_HAND)

    def _refuse(self, request: Request) -> Failure | None:
        limit, bytes_per_token = self._info.largest_request_tokens, self._info.bytes_per_token or 1.0
        needed = request.prompt.overhead_tokens() + len(request.document_tokens)
        if limit and needed > limit * bytes_per_token:
            about = "about " if self._info.bytes_per_token else ""
            needed = math.ceil(needed / bytes_per_token)
            reason = f"the request has {about}{needed:,} tokens, and the context holds {limit:,}"
            return Failure(status="oversize", reason=reason)
        if not all(len(request.document_tokens) + len(q.suffix_tokens) for q in request.prompt.questions):
            return Failure(status="engine_error", reason="the prompt has neither a document nor a suffix to read")
        return None

    def close(self) -> None:
        """Leave the servers as they were, and hang up. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._loop.run(close_all(self._endpoints))
        finally:
            self._loop.close()


def _info(endpoints: Sequence[Endpoint], context_tokens: int) -> EngineInfo:
    facts = [endpoint.adapter.facts for endpoint in endpoints]
    ratios = [fact.bytes_per_token for fact in facts if fact.bytes_per_token is not None]
    lanes = sum(fact.slots or START for fact in facts)
    return EngineInfo(
        engine=endpoints[0].name,
        model=facts[0].model,
        model_fingerprint=facts[0].model_fingerprint,
        precision=facts[0].precision,
        version=", ".join(dict.fromkeys(fact.version for fact in facts)),
        device=", ".join(endpoint.client.address.url for endpoint in endpoints),
        largest_request_tokens=context_tokens,
        batch_tokens=_TOKENS_PER_CALL,
        batch_requests=_REQUESTS_PER_LANE * lanes,
        bytes_per_token=min(ratios, default=None),
        exact_probabilities=all(fact.exact_probabilities for fact in facts),
        shares_prefix=all(fact.shares_prefix for fact in facts),
        notices=tuple(dict.fromkeys(notice for fact in facts for notice in fact.notices)),
    )
