"""The engine ``native``: prefill only, layer by layer, in this process."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing

import torch

from thresher.closing import Closing
from thresher.engines.base import EngineInfo
from thresher.engines.native.pack import Tree
from thresher.engines.native.packing import halves, packs_of
from thresher.engines.native.reader import Flight, Reader
from thresher.engines.native.reading import Reading
from thresher.engines.native.sizing import Sizes
from thresher.errors import EngineError
from thresher.models.tokenizer import Tokenizer
from thresher.types import Failure, Prompt, Request, Scores

logger = logging.getLogger(__name__)

_Pack = Sequence[tuple[Reading, Tree]]


class NativeEngine(Closing):
    """Reads requests through :class:`Reader`. Made by :func:`~thresher.engines.native.opening.open_native`."""

    def __init__(
        self, reader: Reader, tokenizer: Tokenizer, info: EngineInfo, sizes: Sizes, close: Callable[[], None]
    ) -> None:
        self._reader: Reader | None = reader
        self._tokenizer = tokenizer
        self._info = info
        self._sizes = sizes
        self._pack_rows = sizes.pack_rows  # less once the memory did not hold as many
        self._close = close

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
        if self._reader is None:
            raise EngineError("the engine is closed; open a new one")
        return self._score_or_stop(self._reader, requests)

    def _score_or_stop(self, reader: Reader, requests: Sequence[Request]) -> Iterator[Scores]:
        try:
            yield from self._score(reader, requests)
        except (RuntimeError, MemoryError, CancelledError) as error:
            reason = str(error) or type(error).__name__
            raise EngineError(f"the native engine stopped: {reason}") from error

    def _score(self, reader: Reader, requests: Sequence[Request]) -> Iterator[Scores]:
        accepted: dict[int, list[Reading]] = {}
        for request in requests:
            failure = self._refuse(request)
            if failure is None:
                accepted.setdefault(id(request.prompt), []).append(Reading(request))
            else:
                yield Scores(request_id=request.request_id, failure=failure)
        for readings in accepted.values():
            yield from self._score_group(reader, readings[0].request.prompt, readings)

    def _refuse(self, request: Request) -> Failure | None:
        limit = self._info.largest_request_tokens
        needed = request.prompt.overhead_tokens() + len(request.document_tokens)
        if needed > limit:
            reason = f"the request has {needed:,} tokens, and the context holds {limit:,}"
            return Failure(status="oversize", reason=reason)
        if not all(len(request.document_tokens) + len(q.suffix_tokens) for q in request.prompt.questions):
            return Failure(status="engine_error", reason="the prompt has neither a document nor a suffix to read")
        return None

    def _score_group(self, reader: Reader, prompt: Prompt, readings: Sequence[Reading]) -> Iterator[Scores]:
        """Requests of one prompt, in as many rounds as the one with most branchings to explore needs."""
        while readings:
            unfinished: list[Reading] = []
            trees = ((reading, reading.tree()) for reading in readings)
            packs = packs_of(trees, lambda: self._pack_rows, self._sizes.pack_segments)
            with closing(self._read_all(reader, prompt, packs)) as read:
                for pack, prefix_computed in read:
                    pack[0][0].computed_tokens += prefix_computed
                    pack[0][0].prefix_computed += prefix_computed
                    for reading, _ in pack:
                        if reading.finished:
                            yield _scores(reading)
                        else:
                            unfinished.append(reading)
            readings = unfinished

    def _read_all(self, reader: Reader, prompt: Prompt, packs: Iterator[_Pack]) -> Generator[tuple[_Pack, int]]:
        """Packs in their order once they have been read, each with the tokens of the prefix computed for it.

        Every device is given a pack before the first is waited for. What is on its way is left when the reader of this
        goes away.
        """
        flights: deque[tuple[_Pack, Flight]] = deque()
        try:
            for pack in packs:
                flights.append((pack, _send(reader, prompt, pack)))
                if len(flights) == reader.packs_in_flight:
                    pack, flight = flights.popleft()
                    yield pack, self._land(reader, prompt, pack, flight)
            while flights:
                pack, flight = flights.popleft()
                yield pack, self._land(reader, prompt, pack, flight)
        finally:
            for _, flight in flights:
                flight.abandon()

    def _land(self, reader: Reader, prompt: Prompt, pack: _Pack, flight: Flight) -> int:
        """Wait for the pack; where memory runs out, read half of it at a time. Returns prefix tokens computed."""
        try:
            return flight.land()
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else "no memory is left"
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(pack) == 1:
            pack[0][0].error = f"the memory does not hold this request: {reason}"
            return 0
        self._take_smaller_packs(sum(tree.rows for _, tree in pack), len(pack), reason)
        return sum(self._land(reader, prompt, half, _send(reader, prompt, half)) for half in halves(pack))

    def _take_smaller_packs(self, rows: int, requests: int, reason: str) -> None:
        """From now on, of half as many tokens as the one that did not fit; and say so."""
        self._pack_rows = min(self._pack_rows, max(1, rows // 2))
        logger.warning(
            "the memory did not hold a pack of %s tokens (%s): its %d requests are read in two halves, and packs have "
            "at most %s tokens from now on", f"{rows:,}", reason, requests, f"{self._pack_rows:,}",
        )  # fmt: skip

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        if self._reader is not None:
            self._reader = None
            self._close()


def _send(reader: Reader, prompt: Prompt, pack: _Pack) -> Flight:
    return reader.send(prompt, [reading for reading, _ in pack], [tree for _, tree in pack])


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _scores(reading: Reading) -> Scores:
    request = reading.request
    if reading.error is not None:
        failure = Failure(status="engine_error", reason=reading.error)
        return Scores(request_id=request.request_id, failure=failure, computed_tokens=reading.computed_tokens)
    return Scores(
        request_id=request.request_id,
        answers=tuple(walk.answer() for walk in reading.walks()),
        computed_tokens=reading.computed_tokens,
        cached_tokens=len(request.prompt.prefix_tokens) - reading.prefix_computed,
    )
