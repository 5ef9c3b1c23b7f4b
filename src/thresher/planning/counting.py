"""The documents that a plan is for, in figures."""

from __future__ import annotations

from dataclasses import dataclass

#: Where no documents are given: the mean of the job that Thresher was made after (320 documents, 1,214,072 tokens).
TYPICAL_DOCUMENT_TOKENS = 3794
#: And the length of the instructions and labels before each.
TYPICAL_PREFIX_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCounts:
    """Tokens of documents. Those of duplicates are counted once, because they are read once."""

    documents: int
    duplicates: int
    unreadable: int
    tokens: int
    longest_tokens: int
    squared_tokens: int  # the sum of squares, which attention grows with

    @property
    def attended_tokens(self) -> float:
        """The length whose attention costs per token what these documents' does: ``sum(n^2) / sum(n)``."""
        return self.squared_tokens / self.tokens if self.tokens else float(TYPICAL_DOCUMENT_TOKENS)
