"""One thing to measure: an engine with its settings, on a workload."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a worker process is told to do."""

    models: tuple[str, ...]  # references, as the user gave them
    engine: str
    precision: str = "auto"
    workload: str
    workload_file: str = ""  # where the worker finds the documents
    concurrency: int | None = None  # requests given to the engine at once; None: as many as it likes
    context_tokens: int | None = None
    threads: int | None = None
    device: str | None = None
    weights_memory_bytes: int | None = None
    tokenizer: str | None = None
    repetitions: int = 3
    settings: Mapping[str, int] = field(default_factory=dict)  # of the engine
    sweep: str = ""  # what is varied: concurrency, context, or a setting's name
    value: int | None = None  # of what is varied
    documents: int = 0

    @property
    def key(self) -> str:
        """SHA-256 (hex) of all that decides what is measured."""
        fields = {name: value for name, value in asdict(self).items() if name != "workload_file"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The fields, for a worker or a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Case:
        """The case from what ``to_json`` gave."""
        return cls(**{**fields, "models": tuple(fields["models"])})

    def name(self) -> str:
        """In a few words."""
        words = self.engine if self.precision == "auto" else f"{self.engine} {self.precision}"
        return f"{words}, {self.sweep} {self.value:,}" if self.sweep and self.value is not None else words
