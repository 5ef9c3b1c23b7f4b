"""The random order in which documents are to be checked."""

from __future__ import annotations

import hashlib


def sample_rank(document_id: str, seed: int = 0) -> bytes:
    """Sorting by it puts documents into an order that is random, and the same whoever asks.

    It is settled before any label is seen and knows nothing of labels or probabilities, so whatever has been labelled
    without a gap from its beginning is a random sample, however often one looks and wherever one stops.
    """
    return hashlib.sha256(f"{seed}\0{document_id}".encode("utf-8", "surrogatepass")).digest()
