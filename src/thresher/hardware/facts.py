"""What a machine has: figures only, read from the machine or from the table of named GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """One GPU. Rates are None or missing where they are not known."""

    name: str  # in the table, or what the driver calls it
    memory_bytes: int
    free_bytes: int  # all of it where it is not in this machine
    capability: tuple[int, int] | None = None
    bandwidth: float | None = None  # bytes/s of its memory
    host_bandwidth: float | None = None  # bytes/s from host memory
    rates: Mapping[str, float] = field(default_factory=dict)  # precision -> dense operations/s, by the data sheet
    measured_rates: Mapping[str, float] = field(default_factory=dict)  # the same, measured by this project
    source: str = ""  # of the figures
    in_use: bool = False  # this process has begun to use it, so ``free_bytes`` leaves out what that takes


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFacts:
    """One machine, or one that is asked about."""

    cpu: str
    cores: int  # physical ones this process may use
    memory_bytes: int
    free_memory_bytes: int
    gpus: tuple[GpuFacts, ...]
    present: bool  # whether it is this machine
