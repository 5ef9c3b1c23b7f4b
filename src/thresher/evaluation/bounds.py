"""Exact binomial bounds."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, binomtest

_LARGEST_SAMPLE = 1_000_000


def clopper_pearson(right: int, documents: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval for a share of which ``right`` of ``documents`` were seen (Clopper, Pearson 1934).

    It holds for a random sample whose size was settled before a label was seen.
    """
    interval = binomtest(right, documents).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def fixed_sample_sizes(target: float, confidence: float, most_wrong: int = 5) -> dict[int, int]:
    """Wrong labels found -> the smallest random sample that proves ``target`` with no more of them, looked at once.

    The least n for which so few wrong labels would be found with a chance of at most ``1 - confidence`` if the share of
    right ones were just ``target``: the one-sided bound of Clopper and Pearson.
    """
    return {wrong: _smallest(wrong, target, 1 - confidence) for wrong in range(most_wrong + 1)}


def _smallest(wrong: int, target: float, chance: float) -> int:
    low, high = wrong + 1, wrong + 1
    while binom.cdf(wrong, high, 1 - target) > chance:
        low, high = high, high * 2
        if high > _LARGEST_SAMPLE:
            break
    sizes = np.arange(low, high + 1)
    return int(sizes[np.argmax(binom.cdf(wrong, sizes, 1 - target) <= chance)])
