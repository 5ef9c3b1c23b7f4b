"""What evaluation needs to know of a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFacts:
    """A question as it was asked."""

    name: str
    kind: str  # choice, multi, yes_no or score
    labels: tuple[str, ...] = ()  # empty where each request brought its own
    parents: Mapping[str, str] = field(default_factory=dict)  # label -> its topmost parent, of labels below labels

    @property
    def is_multi(self) -> bool:
        """Whether an answer has any number of labels."""
        return self.kind == "multi"
