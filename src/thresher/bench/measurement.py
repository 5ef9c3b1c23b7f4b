"""What a worker found out of one case."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

FailureKind = Literal["out_of_memory", "engine_error", "crashed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """One pass over the workload."""

    seconds: float
    computed_tokens: int
    cached_tokens: int
    failed: int  # documents without an answer
    latencies_s: tuple[float, ...]  # of every answered document, from when it was given to the engine


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFailure:
    """Why a case has no figures."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A row of a benchmark. Without repetitions it has a failure."""

    engine: str  # as chosen, also where the case said auto
    precision: str
    model: str
    version: str
    device: str
    sweep: str = ""
    value: int | None = None
    settings: Mapping[str, int]
    documents: int
    load_seconds: float | None = None
    peak_memory_bytes: int | None = None  # resident set of the process and those it started
    peak_device_bytes: int | None = None  # of the GPU's memory, where the engine can tell
    repetitions: tuple[Repetition, ...] = ()
    labels: tuple[str, ...] = ()  # of each document; "" where it failed
    probabilities: tuple[float | None, ...] = ()  # of these labels
    failure: CaseFailure | None = None

    @property
    def rates(self) -> tuple[float, ...]:
        """Computed prompt tokens per second of each repetition; cached tokens do not count."""
        return tuple(each.computed_tokens / each.seconds for each in self.repetitions)

    @property
    def tokens_per_second(self) -> float | None:
        """The median of the repetitions."""
        return statistics.median(self.rates) if self.repetitions else None

    @property
    def documents_per_second(self) -> float | None:
        """The median of the repetitions."""
        if not self.repetitions:
            return None
        return statistics.median((self.documents - each.failed) / each.seconds for each in self.repetitions)

    def latency_s(self, share: float) -> float | None:
        """The latency that ``share`` of all documents did not exceed (nearest rank)."""
        latencies = sorted(latency for each in self.repetitions for latency in each.latencies_s)
        if not latencies:
            return None
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))]

    def to_json(self) -> dict[str, Any]:
        """The fields and the figures drawn from them, unrounded."""
        return asdict(self) | {
            "tokens_per_second": self.tokens_per_second,
            "tokens_per_second_low": min(self.rates, default=None),
            "tokens_per_second_high": max(self.rates, default=None),
            "documents_per_second": self.documents_per_second,
            "first_token_seconds_p50": self.latency_s(0.5),
            "first_token_seconds_p99": self.latency_s(0.99),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Measurement:
        """The measurement from what ``to_json`` gave."""
        own = {name: fields[name] for name in cls.__dataclass_fields__ if name in fields}
        failure = own.get("failure")
        return cls(
            **{
                **own,
                "repetitions": tuple(
                    Repetition(**{**each, "latencies_s": tuple(each["latencies_s"])}) for each in own["repetitions"]
                ),
                "labels": tuple(own["labels"]),
                "probabilities": tuple(own["probabilities"]),
                "failure": None if failure is None else CaseFailure(**failure),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two engines gave the same answers to the same documents."""

    documents: int  # answered by both
    equal: int
    largest_gap: float | None  # between the probabilities of equal labels; None where one gives none


def agreement(first: Measurement, other: Measurement) -> Agreement | None:
    """None where they did not read the same documents."""
    if len(first.labels) != len(other.labels):
        return None
    both = [(place, a) for place, (a, b) in enumerate(zip(first.labels, other.labels, strict=True)) if a and b]
    equal = [place for place, a in both if other.labels[place] == a]
    gaps = [
        abs(p - q)
        for p, q in ((first.probabilities[place], other.probabilities[place]) for place in equal)
        if p is not None and q is not None
    ]
    return Agreement(documents=len(both), equal=len(equal), largest_gap=max(gaps, default=None))
