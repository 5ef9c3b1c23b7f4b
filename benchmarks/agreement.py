"""How far two readings of the same documents are apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

#: Where the two best labels are this close in either reading, rounding may swap them.
CLOSE = 0.04

Label = TypeVar("Label", bound=Hashable)


def differences(
    first: Mapping[Any, Mapping[Label, float]], second: Mapping[Any, Mapping[Label, float]]
) -> dict[str, Any]:
    """Of probabilities by label, by document."""
    if first.keys() != second.keys():
        raise SystemExit(f"one reading failed documents: {sorted(first.keys() ^ second.keys())[:5]}")
    every = sorted(abs(first[d][label] - second[d][label]) for d in first for label in first[d])
    gaps = sorted(max(abs(first[d][label] - second[d][label]) for label in first[d]) for d in first)
    differing = [d for d in first if best(first[d]) != best(second[d])]
    return {
        "documents": len(gaps),
        "largest_gap": gaps[-1],
        "gap_99_percent": gaps[int(0.99 * (len(gaps) - 1))],  # of documents' largest gaps
        "median_gap": gaps[len(gaps) // 2],
        "gap_of_any_label_99_percent": every[int(0.99 * (len(every) - 1))],
        "labels_that_differ": len(differing),
        "labels_that_differ_and_are_not_close": sum(min(lead(first[d]), lead(second[d])) > CLOSE for d in differing),
    }


def best(probabilities: Mapping[Label, float]) -> Label:
    """The likeliest label."""
    return max(probabilities, key=probabilities.__getitem__)


def lead(probabilities: Mapping[Label, float]) -> float:
    """Of the likeliest label over the next."""
    first, second, *_ = sorted(probabilities.values(), reverse=True)
    return first - second
