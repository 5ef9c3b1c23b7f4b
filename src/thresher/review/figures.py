"""Figures and labels as people read them."""

from __future__ import annotations

from thresher.jobs import ReviewedLabel
from thresher.review.visible import plain


def percent(share: float | None) -> str:
    """``61.3%``; what is not quite all or nothing is not rounded to it."""
    if share is None:
        return "none"
    if 0.0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1.0:
        return ">99.9%"
    return f"{100 * share:.1f}%".replace(".0%", "%") if share in (0.0, 1.0) else f"{100 * share:.1f}%"


def label_text(label: ReviewedLabel | None) -> str:
    """One label, several joined by commas, or words for none."""
    if label is None:
        return "no label"
    if isinstance(label, tuple):
        return ", ".join(map(plain, label)) or "none of the labels"
    return plain(label)
