"""What a run did, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from thresher.pipeline.stage_times import StageTime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The outcome of one ``classify``; token counts and times are of this pass, the rest of the whole run.

    ``prompt_tokens`` counts every token of every prompt that was scored, ``cached_tokens`` those of them that the
    engine took from the shared prefix instead of reading them, ``tokens_per_second`` only tokens really read.
    ``seconds`` runs from the listing to the last commit; loading the model is counted apart.
    """

    job: str
    documents: int
    labelled: int
    statuses: Mapping[str, int]
    resumed: int
    duplicates: int
    prompt_tokens: int
    cached_tokens: int
    seconds: float
    load_seconds: float
    documents_per_second: float
    tokens_per_second: float
    label_counts: Mapping[str, Mapping[str, int]]
    engine: str
    model: str
    precision: str
    context: int | None  # None where a server does not say
    left: int
    interrupted: bool
    stages: Mapping[str, StageTime]  # where the time went

    @property
    def failed(self) -> int:
        """Rows that are stored failures."""
        return sum(self.statuses.values()) - self.labelled

    def to_json(self, *, with_stages: bool = False) -> dict[str, Any]:
        """The fields as a JSON object, unrounded; ``stages`` only if asked for."""
        return as_json(self, with_stages=with_stages)


def as_json(report: Any, *, with_stages: bool) -> dict[str, Any]:
    """A report's fields, those of its stages only if asked for."""
    fields = asdict(report)
    return fields if with_stages else {name: value for name, value in fields.items() if name != "stages"}
