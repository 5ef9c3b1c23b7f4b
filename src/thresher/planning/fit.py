"""Whether a setting fits, and what takes the memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from thresher.planning.setting import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One setting's memory. Bytes are those of the fullest device: a GPU, or host memory on a CPU."""

    setting: Setting
    parts: Mapping[str, int]  # weights, kv, state, activations, overhead -> bytes
    available_bytes: int
    fits: bool
    slots: int | None = None  # requests at a time
    pack_tokens: int | None = None  # tokens read in one pass
    streamed_layers: int = 0
    streamed_bytes: int = 0  # copied to the device for each pass
    host_bytes: int = 0  # wanted of host memory beside the device
    problem: str = ""  # why it cannot be, where that is not the sum of its parts
    remedies: tuple[str, ...] = field(default=())  # each was planned itself, and fits

    @property
    def basis(self) -> str:
        """Where the formula comes from."""
        if self.setting.engine in {"native", "llamacpp"}:
            return "the engine's own formula, compared with measured memory"
        return "the engine's documents, not measured"

    @property
    def bytes(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def remedy(self) -> str | None:
        """What would fit, in words; None where it fits or nothing was found that would."""
        return "; or ".join(self.remedies) or None
