"""What a user may ask of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from thresher.engines import engine_settings
from thresher.errors import UsageError
from thresher.suggestions import did_you_mean

Sweep = Literal["concurrency", "context", "batch"]
SWEEPS: tuple[str, ...] = get_args(Sweep)
#: What is tried of each, where the user names no values.
_VALUES: Mapping[str, tuple[int, ...]] = {
    "concurrency": (1, 2, 4, 8, 16, 32, 64),
    "context": (8_192, 16_384, 32_768, 65_536, 131_072, 262_144),
    "batch": (256, 512, 1_024, 2_048, 4_096, 8_192),
}
#: The setting of an engine that says how many tokens it computes at a time.
BATCH_SETTINGS: Mapping[str, str] = {"llamacpp": "micro_batch", "native": "pack_tokens"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """Everything beside the model and the workload.

    Raises:
        UsageError: a value is out of its range; the message names it and the range.
    """

    engines: tuple[str, ...] = ("auto",)
    precisions: tuple[str, ...] = ("auto",)
    sweep: Sweep | None = None
    values: tuple[int, ...] = ()
    limit: int | None = None  # documents; None: as many as about ``case_seconds`` allow
    repetitions: int = 3
    case_seconds: float = 60.0  # about how long one pass over the workload may take
    context_tokens: int | None = None
    threads: int | None = None
    device: str | None = None
    weights_memory_bytes: int | None = None
    tokenizer: str | None = None
    settings: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for flag, value in (("--repetitions", self.repetitions), ("--limit", self.limit)):
            if value is not None and value < 1:
                raise UsageError(f"{flag} is {value}; it must be at least 1")
        if self.values and self.sweep is None:
            raise UsageError(f"--values needs --sweep, one of {', '.join(SWEEPS)}")
        if any(value < 1 for value in self.values):
            raise UsageError(f"--values has {min(self.values)}; each must be at least 1")

    def swept(self) -> tuple[int, ...]:
        """The values to try; empty without a sweep."""
        return () if self.sweep is None else self.values or _VALUES[self.sweep]


def checked_sweep(name: str) -> Sweep:
    """``name`` as a sweep. Raises ``UsageError``."""
    if name in SWEEPS:
        return cast(Sweep, name)
    raise UsageError(f"--sweep {name}: one of {', '.join(SWEEPS)}{did_you_mean(name, SWEEPS)}")


def setting_swept(engine: str, value: int) -> Mapping[str, int]:
    """The engine's setting for a sweep over batches.

    Raises:
        UsageError: the engine computes in no batches of our choice, or not in such.
    """
    name = BATCH_SETTINGS.get(engine)
    if name is None:
        raise UsageError(
            f"--sweep batch: {engine} has no size of batch to choose; it is for {' and '.join(BATCH_SETTINGS)}"
        )
    low, high = engine_settings(engine)[name]
    if not low <= value <= high:
        raise UsageError(f"--values {value}: {name} of {engine} is {low:,} to {high:,}")
    return {name: value}
