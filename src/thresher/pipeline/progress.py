"""What a run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState:
    """Where a run stands at one moment."""

    documents_total: int  # listed
    documents_done: int  # with a row on the disk, those of earlier passes included
    documents_failed: int
    documents_resumed: int  # done by earlier passes
    computed_tokens: int  # in this pass
    seconds: float  # since the pass began to read

    @property
    def tokens_per_second(self) -> float:
        """Computed prompt tokens per second in this pass."""
        return self.computed_tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the pass's mean rate of documents; None before the first is done."""
        done_now = self.documents_done - self.documents_resumed
        if done_now <= 0:
            return None
        return self.seconds * (self.documents_total - self.documents_done) / done_now


class Progress(Protocol):
    """Watches a run; called from the thread that runs it."""

    def message(self, text: str) -> None:
        """Something a person should know: what was chosen and why, what was started anew. Also from other threads."""

    def listed(self, documents: int) -> None:
        """So many documents were listed so far."""

    def update(self, state: ProgressState) -> None:
        """The run stands here now; called after every commit."""


class SilentProgress:
    """Watches and says nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def listed(self, documents: int) -> None:
        """Say nothing."""

    def update(self, state: ProgressState) -> None:
        """Say nothing."""
