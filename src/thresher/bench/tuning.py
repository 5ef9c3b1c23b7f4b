"""The fastest settings of an engine: successive halving over candidates, then pairs against the engine's own choice.

Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): all candidates read a few documents, the faster half
reads twice as many, and so on. The engine's own choice is measured in every round, so that what the machine does beside
it meets both; a candidate that gives any document another label is out.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from thresher.bench.measurement import Measurement
from thresher.errors import EngineError

#: Values to try of each setting, where the engine has it and takes them.
_CANDIDATES: Mapping[str, tuple[int, ...]] = {
    "micro_batch": (128, 256, 512, 1_024, 2_048, 4_096),
    "documents": (1, 4, 16, 32, 64),
    "step_tokens": (512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768),
    "pack_tokens": (4_096, 8_192, 16_384, 65_536, 131_072, 262_144),
}
_PAIRS = 5
#: Of the budget, what is kept for the pairs at the end.
_PAIRS_SHARE = 0.4
#: In the rounds, a candidate may be so much slower than the engine's own choice: one measurement is noisy.
_NOISE = 0.97
#: The winner must beat the engine's own choice by this much, in the median of the pairs, and in most of them.
_LEAST_GAIN = 1.01
_MOST_PAIRS_LOST = 1

Settings = Mapping[str, int]
#: Measures a case over so many documents of the workload.
Measure = Callable[[Settings, int], Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One candidate in one round."""

    round: int
    settings: Settings
    documents: int
    tokens_per_second: float | None
    reference_tokens_per_second: float
    verdict: str  # "kept", "slower", "other labels", or why it has no figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What tuning found."""

    settings: Settings  # empty: the engine's own choice
    ratios: tuple[float, ...]  # of the pairs: the throughput with the settings to that of the engine's own choice
    trials: tuple[Trial, ...]

    @property
    def ratio(self) -> float:
        """The median of the pairs; 1 where the engine's own choice stands."""
        return statistics.median(self.ratios) if self.ratios and self.settings else 1.0


def candidates(ranges: Mapping[str, tuple[int, int]]) -> Iterator[Settings]:
    """Settings to try: each setting alone first, then pairs of them."""
    choices = {
        name: [value for value in _CANDIDATES.get(name, ()) if low <= value <= high]
        for name, (low, high) in ranges.items()
    }
    for name, values in choices.items():
        yield from ({name: value} for value in values)
    for (first, firsts), (second, seconds) in itertools.combinations(choices.items(), 2):
        yield from ({first: one, second: other} for one in firsts for other in seconds)


def tune(
    ranges: Mapping[str, tuple[int, int]],
    measure: Measure,
    documents: int,
    budget_s: float,
    told: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Find the fastest settings within about ``budget_s``; ``documents`` is how many the workload has.

    Raises:
        EngineError: the engine's own choice cannot be measured.
    """
    search = _Search(measure, told, clock)
    cost_s = search.first_look(min(2, documents))
    rounds_s = budget_s * (1 - _PAIRS_SHARE)
    pool = search.affordable(list(candidates(ranges)), cost_s, rounds_s)
    best = search.halve(pool, documents, clock() + rounds_s - cost_s)
    if best is None:
        return Tuned(settings={}, ratios=(), trials=tuple(search.trials))
    ratios = search.pairs(best, documents, budget_s * _PAIRS_SHARE)
    won = bool(ratios) and statistics.median(ratios) >= _LEAST_GAIN
    won = won and sum(ratio < 1 for ratio in ratios) <= _MOST_PAIRS_LOST
    return Tuned(settings=best if won else {}, ratios=tuple(ratios), trials=tuple(search.trials))


class _Search:
    """What was tried so far."""

    def __init__(self, measure: Measure, told: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._measure = measure
        self._told = told
        self._clock = clock
        self._seconds_per_document = 0.0
        self.trials: list[Trial] = []

    def first_look(self, documents: int) -> float:
        """Seconds that a measurement of so few documents takes, loading included."""
        start = self._clock()
        found = self._reference(documents)
        spent = self._clock() - start
        self._seconds_per_document = found.repetitions[0].seconds / documents
        return spent

    def affordable(self, pool: Sequence[Settings], cost_s: float, seconds: float) -> list[Settings]:
        """As many of ``pool`` as can be tried: a halving of n candidates takes about 2 n measurements."""
        count = max(1, int(seconds / max(cost_s, 1e-6) / 2.5))
        if count < len(pool):
            self._told(f"{count} of {len(pool)} settings are tried; a larger --budget tries more")
        return list(pool[:count])

    def halve(self, pool: list[Settings], documents: int, deadline: float) -> Settings | None:
        """The one that is left; None where none is faster than the engine's own choice."""
        count = min(4, documents)
        for number in itertools.count(1):
            reference = self._reference(count)
            ranked = [(speed, s) for s in pool if (speed := self._try(number, s, count, reference)) is not None]
            ranked.sort(key=lambda pair: -pair[0])
            rate = reference.tokens_per_second or 0.0
            pool = [settings for speed, settings in ranked if speed >= _NOISE * rate][: math.ceil(len(pool) / 2)]
            if len(pool) <= 1 or self._clock() > deadline:
                return pool[0] if pool else None
            count = min(2 * count, documents)
        raise AssertionError("counting does not end")

    def pairs(self, settings: Settings, documents: int, seconds: float) -> list[float]:
        """Ratios to the engine's own choice, measured one after the other; none where a label differs."""
        afforded = seconds / (2 * _PAIRS * max(self._seconds_per_document, 1e-9))
        count = max(min(4, documents), min(documents, int(afforded)))
        ratios: list[float] = []
        for number in range(_PAIRS):
            reference = self._reference(count)
            speed = self._try(0, settings, count, reference)
            if speed is None:
                return []
            ratios.append(speed / (reference.tokens_per_second or math.inf))
            self._told(f"pair {number + 1} of {_PAIRS}: {ratios[-1]:.3f} times the engine's own choice")
        return ratios

    def _reference(self, documents: int) -> Measurement:
        found = self._measure({}, documents)
        if found.failure is not None or not found.repetitions:
            reason = found.failure.reason if found.failure else "no figures"
            raise EngineError(f"{found.engine} cannot be tuned: {reason}")
        return found

    def _try(self, number: int, settings: Settings, documents: int, reference: Measurement) -> float | None:
        """Its throughput; None where it is out."""
        found = self._measure(settings, documents)
        rate = reference.tokens_per_second or 0.0
        speed = found.tokens_per_second
        if found.failure is not None:
            verdict = found.failure.reason
        elif found.labels != reference.labels:
            verdict = "other labels"
        else:
            verdict = "kept" if (speed or 0.0) >= _NOISE * rate else "slower"
        words = ", ".join(f"{name} {value:,}" for name, value in settings.items())
        self._told(f"{words}: {verdict}" + ("" if speed is None else f", {speed:,.0f} tok/s against {rate:,.0f}"))
        self.trials.append(
            Trial(
                round=number, settings=settings, documents=documents, tokens_per_second=speed,
                reference_tokens_per_second=rate, verdict=verdict,
            )
        )  # fmt: skip
        return speed if verdict in ("kept", "slower") else None
