"""The engine ``llamacpp``: llama.cpp inside this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from thresher.closing import Closing
from thresher.engines.base import EngineInfo
from thresher.engines.llamacpp.context import DecodeError
from thresher.engines.llamacpp.layout import Layout, lay_out
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.planner import PackLimits, pack_cells, plan_forks, plan_packs
from thresher.engines.llamacpp.questions import Reading
from thresher.engines.llamacpp.session import Session
from thresher.errors import EngineCapacityError, EngineError
from thresher.models.tokenizer import Tokenizer
from thresher.types import Failure, Request, Scores


class LlamaCppEngine(Closing):
    """Reads requests with llama.cpp. Made by :func:`~thresher.engines.llamacpp.opening.open_llamacpp`."""

    def __init__(
        self, model: LoadedModel, session: Session, tokenizer: Tokenizer, info: EngineInfo, limits: PackLimits
    ) -> None:
        self._model = model
        self._session = session
        self._tokenizer = tokenizer
        self._info = info
        self._limits = limits
        self._closed = False

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._tokenizer

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        """See :class:`thresher.engines.base.Engine`. Yields after every pack; may be abandoned at any yield."""
        if self._closed:
            raise EngineError("the engine is closed; open a new one")
        return self._score(requests)

    def _score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        accepted: dict[int, list[Request]] = {}
        for request in requests:
            failure = self._refuse(request)
            if failure is None:
                accepted.setdefault(id(request.prompt), []).append(request)
            else:
                yield Scores(request_id=request.request_id, failure=failure)
        for group in accepted.values():
            layout = lay_out(group[0].prompt)
            lengths = [len(request.document_tokens) + layout.longest_ending for request in group]
            for pack in plan_packs(lengths, self._pack_limits(layout)):
                yield from self._score_pack(layout, [group[index] for index in pack])

    def _refuse(self, request: Request) -> Failure | None:
        limit = self._info.largest_request_tokens
        needed = request.prompt.overhead_tokens() + len(request.document_tokens)
        if needed > limit:
            reason = f"the request has {needed:,} tokens, and the context holds {limit:,}"
            return Failure(status="oversize", reason=reason)
        if not all(len(request.document_tokens) + len(q.suffix_tokens) for q in request.prompt.questions):
            return Failure(status="engine_error", reason="the prompt has neither a document nor a suffix to read")
        return None

    def _pack_limits(self, layout: Layout) -> PackLimits:
        """Fewer documents where sequences are needed for forks of them."""
        spare = self._session.spare_sequences
        if layout.questions:
            spare //= 2
        if layout.branchings:
            spare //= 2
        return replace(self._limits, documents=max(1, min(self._limits.documents, spare)))

    def _score_pack(self, layout: Layout, requests: Sequence[Request]) -> Iterator[Scores]:
        """Score together; where anything goes wrong, each alone, so that only those at fault fail."""
        try:
            prefix_computed, readings = self._read(layout, requests)
        except (DecodeError, EngineCapacityError) as error:
            prefix_computed, readings = 0, [Reading(error=str(error)) for _ in requests]
        if any(reading.error is not None for reading in readings):
            self._session.reset()
            if len(requests) > 1:
                for request in requests:
                    yield from self._score_pack(layout, [request])
                return
        for request, reading in zip(requests, readings, strict=True):
            yield _scores(request, reading, prefix_computed)
            prefix_computed = 0

    def _read(self, layout: Layout, requests: Sequence[Request]) -> tuple[int, list[Reading]]:
        documents = [request.document_tokens for request in requests]
        count, longest = len(documents), max(map(len, documents))
        session = self._session
        forks = plan_forks(layout, count, longest, sequences=session.spare_sequences, cells=session.largest_cells)
        try:
            reader = session.reader(pack_cells(layout, count, longest, forks))
            return reader.hold_prefix(layout.prompt), reader.read(layout, documents, forks)
        except BaseException:  # also an interrupt: the sequences are in an unknown state
            session.reset()
            raise

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        self._closed = True
        self._session.close()
        self._model.close()


def _scores(request: Request, reading: Reading, prefix_computed: int) -> Scores:
    computed = reading.decoded_tokens + prefix_computed
    if reading.error is not None:
        failure = Failure(status="engine_error", reason=reading.error)
        return Scores(request_id=request.request_id, failure=failure, computed_tokens=computed)
    return Scores(
        request_id=request.request_id,
        answers=tuple(reading.answers),
        computed_tokens=computed,
        cached_tokens=len(request.prompt.prefix_tokens) - prefix_computed,
    )
