"""What to evaluate and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thresher.errors import UsageError

Calibrating = Literal["auto", "temperature", "vector", "contextual", "none"]
CALIBRATING: tuple[str, ...] = ("auto", "temperature", "vector", "contextual", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """What to evaluate and how.

    Raises:
        UsageError: options that do not go together, or out of range.
    """

    gold: Path | None = None
    reviewed: bool = False
    question: str | None = None
    target: float | None = None
    confidence: float = 0.95
    random_sample: bool = False
    calibrate: Calibrating | None = None
    force: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.calibrate is not None and self.calibrate not in CALIBRATING:
            raise UsageError(f"--calibrate is {self.calibrate!r}; use one of {', '.join(CALIBRATING)}")
        if self.gold is not None and self.reviewed:
            raise UsageError("give either --gold FILE or --reviewed")
        if self.force and self.calibrate in (None, "none"):
            raise UsageError("--force applies a calibration that is not shown to help; name it with --calibrate")
        for name, value in (("--target", self.target), ("--confidence", self.confidence)):
            if value is not None and not 0.0 < value < 1.0:
                raise UsageError(f"{name} is {value}; it must be above 0 and below 1, as in 0.95")
        if self.random_sample and self.target is None:
            raise UsageError("--random-sample says what --target may rely on; give --target, too")
