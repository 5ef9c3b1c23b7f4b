"""A slot of the server, and how it comes back to where it was.

A model with recurrent layers cannot forget the end of what it read. Servers of late keep checkpoints and go back by
themselves; whether this one does is seen from what it computes. Where it does not, and it was started with
``--slot-save-path``, the state of the slot is saved at the place to come back to, and restored.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import AbsentError, BadAnswerError, BadRequestError, DeadlineError
from thresher.engines.servers.llama_server.wire import Reading, completion, read_completion

_TRY_OUT_DEADLINE_S = 10.0
#: A server that goes back by itself computes the few tokens behind its checkpoint once more.
_TOKENS_BEHIND_CHECKPOINT = 16


class SavedStates:
    """Files that the server writes for us. ``supported`` once tried out."""

    def __init__(self, client: Client) -> None:
        self.supported = False
        self._client = client
        self._run = secrets.token_hex(8)  # so that no other program's states are taken for ours
        self._names = set[str]()

    async def try_out(self) -> None:
        """Ask for a state that cannot be there: a server that keeps none has no such route.

        Raises:
            ServerError: it cannot be asked.
        """
        body = {"filename": self._file("none")}
        try:
            await self._client.post("/slots/0?action=restore", body, deadline_s=_TRY_OUT_DEADLINE_S)
        except BadRequestError:
            self.supported = True
        except (AbsentError, DeadlineError):  # started without --slot-save-path; or the slot is at work for others
            self.supported = False

    async def save(self, slot: int, name: str) -> int:
        """Keep the state of ``slot`` under ``name``; returns its tokens."""
        self._names.add(name)
        return await self._act(slot, "save", name, "n_saved")

    async def restore(self, slot: int, name: str) -> int:
        """Put the state called ``name`` into ``slot``; returns its tokens."""
        return await self._act(slot, "restore", name, "n_restored")

    async def clear(self) -> None:
        """The server deletes no files, so an empty state is written over each of them."""
        if not self._names:
            return
        await self._client.post("/slots/0?action=erase", {})
        for name in sorted(self._names):
            await self.save(0, name)

    async def _act(self, slot: int, action: str, name: str, counted: str) -> int:
        answer = await self._client.post(f"/slots/{slot}?action={action}", {"filename": self._file(name)})
        tokens = answer.get(counted) if isinstance(answer, dict) else None
        if not isinstance(tokens, int):
            raise BadAnswerError(f"{self._client.address}: the answer to the action {action} has no {counted}")
        return tokens

    def _file(self, name: str) -> str:
        return f"thresher-{self._run}-{name}.bin"


class Slot:
    """One slot, used by one request at a time; counts the tokens computed since ``begin``."""

    def __init__(self, index: int, client: Client, states: SavedStates, drawn: Sequence[int]) -> None:
        self.index = index
        self.goes_back = True  # until it is seen not to
        self.computed_tokens = 0
        self._client = client
        self._states = states
        self._drawn = drawn
        self._holds: Sequence[int] = ()  # the tokens read last, as far as we know
        self._marks = dict[int, Sequence[int]]()

    def begin(self) -> None:
        """A new request."""
        self.computed_tokens = 0
        self._marks.clear()

    async def read(self, tokens: Sequence[int], candidates: Sequence[int] = ()) -> Reading:
        """Read ``tokens``; with ``candidates``, how likely each is to follow, see :class:`Reading`."""
        reading = await self._read(tokens, candidates, None)
        if candidates and reading.logs is None:
            drawn = next((token for token in self._drawn if token not in candidates), None)
            reading = await self._read(tokens, candidates, drawn)
            if reading.logs is None:
                raise BadAnswerError(f"{self._client.address}: the answer of /completion has no probabilities")
        return reading

    async def _read(self, tokens: Sequence[int], candidates: Sequence[int], drawn: int | None) -> Reading:
        answer = await self._client.post("/completion", completion(tokens, self.index, candidates, drawn))
        reading = read_completion(answer, candidates, str(self._client.address))
        common = _common(self._holds, tokens)
        if common < len(self._holds) and reading.computed_tokens > len(tokens) - common + _TOKENS_BEHIND_CHECKPOINT:
            self.goes_back = False
        self._holds = tokens
        self.computed_tokens += reading.computed_tokens
        return reading

    async def mark(self, level: int) -> None:
        """The place where the slot stands will be come back to; ``level`` tells marks apart."""
        if not self.goes_back and self._states.supported:
            await self._states.save(self.index, f"slot-{self.index}-{level}")
            self._marks[level] = self._holds

    async def back(self, level: int) -> None:
        """To the place of the mark, where the server would not get there by itself."""
        if level in self._marks:
            await self.restore(f"slot-{self.index}-{level}", self._marks[level])

    async def restore(self, name: str, tokens: Sequence[int]) -> bool:
        """Put the state called ``name`` into the slot, which holds ``tokens``. False when it is not that any more."""
        restored = 0
        with contextlib.suppress(BadRequestError, AbsentError):
            restored = await self._states.restore(self.index, name)
        self._holds = tokens if restored == len(tokens) else ()
        return restored == len(tokens)


class Prefixes:
    """Brings slots to just behind the tokens that many requests begin with, which are computed once.

    With saved states the prefix is read in one slot and restored in all. Without them it is read by itself once in each
    slot, which makes a server with checkpoints come back there; where that is seen not to help, it is left.
    """

    _MOST_KEPT = 4
    _LEAST_TOKENS = 16
    _MISSES = 2

    def __init__(self, states: SavedStates) -> None:
        self._states = states
        self._kept = dict[tuple[int, ...], str]()
        self._in_slots = dict[int, tuple[int, ...]]()
        self._misses = 0
        self._lock = asyncio.Lock()

    async def place(self, tokens: tuple[int, ...], slot: Slot) -> int:
        """Bring ``slot`` behind ``tokens``; returns how many were computed for it."""
        if len(tokens) < self._LEAST_TOKENS:
            return 0
        if self._states.supported:
            return await self._place_kept(tokens, slot)
        if self._in_slots.get(slot.index) == tokens or self._misses >= self._MISSES:
            return 0
        self._in_slots[slot.index] = tokens
        return (await slot.read(tokens)).computed_tokens

    def was_reused(self, tokens: tuple[int, ...], slot: Slot, reading: Reading) -> None:
        """How the first reading behind a prefix went that had been placed for an earlier request."""
        if self._states.supported or self._in_slots.get(slot.index) != tokens:
            return
        if reading.reused_tokens >= len(tokens):
            self._misses = 0
        else:
            self._misses += 1
            del self._in_slots[slot.index]

    async def _place_kept(self, tokens: tuple[int, ...], slot: Slot) -> int:
        async with self._lock:
            name = self._kept.pop(tokens, None)
            if name is not None:
                self._kept[tokens] = name  # the latest stands last
            else:
                return await self._keep(tokens, slot)
        if await slot.restore(name, tokens):
            return 0
        self._kept.pop(tokens, None)
        return 0

    async def _keep(self, tokens: tuple[int, ...], slot: Slot) -> int:
        computed = (await slot.read(tokens)).computed_tokens
        if len(self._kept) < self._MOST_KEPT:
            name = f"prefix-{len(self._kept)}"
        else:
            name = self._kept.pop(next(iter(self._kept)))
        try:
            saved = await self._states.save(slot.index, name)
        except (AbsentError, BadRequestError):  # a model whose states cannot be kept
            self._states.supported = False
            return computed
        if saved == len(tokens):
            self._kept[tokens] = name
        return computed


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    """With how many tokens both begin."""
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
