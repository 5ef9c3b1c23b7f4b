"""Rows with gold labels, made by hand."""

from __future__ import annotations

from collections.abc import Mapping

from thresher.evaluation import Judged
from thresher.types import Prediction


def judge(
    said: str | tuple[str, ...] | None,
    gold: str | tuple[str, ...],
    shares: Mapping[str, float] | None = None,
    probability: float | None = None,
    document: str = "d",
) -> Judged:
    """A row that says ``said`` where ``gold`` is right."""
    if probability is None and shares is not None and isinstance(said, str):
        probability = shares[said]
    row = Prediction(
        document_id=document, source=f"/in/{document}", question="q", status="ok" if said is not None else "abstained",
        label=said, probability=probability, probabilities=shares or {},
    )  # fmt: skip
    return Judged(row=row, gold=(gold,) if isinstance(gold, str) else gold)
