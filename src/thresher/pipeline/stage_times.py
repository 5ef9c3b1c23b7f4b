"""Where the time of a run goes: how long each stage was busy, beside the others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

#: ``reading`` is summed over the parsers' processes; ``waiting`` is the engine's thread with nothing to do.
Stage = Literal["listing", "reading", "tokenizing", "engine", "committing", "waiting"]
STAGES: tuple[Stage, ...] = ("listing", "reading", "tokenizing", "engine", "committing", "waiting")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """What one stage did in a run."""

    busy_seconds: float
    share: float  # of the run's wall time; stages run beside each other, so they do not add up to 1
    documents: int
    tokens: int


class StageTimes:
    """Adds up what stages say, each from its own thread. Costs microseconds a document."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._sums: dict[Stage, tuple[float, int, int]] = dict.fromkeys(STAGES, (0.0, 0, 0))

    def add(self, stage: Stage, seconds: float = 0.0, *, documents: int = 0, tokens: int = 0) -> None:
        """The stage was busy for so long, on so much."""
        with self._mutex:
            before = self._sums[stage]
            self._sums[stage] = (before[0] + seconds, before[1] + documents, before[2] + tokens)

    @contextlib.contextmanager
    def busy(self, stage: Stage) -> Iterator[None]:
        """The stage is busy as long as the block runs."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def report(self, seconds: float) -> dict[str, StageTime]:
        """All stages of a run of ``seconds``."""
        with self._mutex:
            return {
                stage: StageTime(busy_seconds=busy, share=busy / seconds, documents=documents, tokens=tokens)
                for stage, (busy, documents, tokens) in self._sums.items()
            }
