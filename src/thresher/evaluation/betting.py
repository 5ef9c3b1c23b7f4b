"""Evidence that at least a given share of a finite pile is right, valid however often one looks.

Documents are drawn without replacement; before each draw some of a starting capital of 1 is bet on "right", at odds
that are fair if the share of right ones is just short of the target. If it is short of the target, the capital is a
supermartingale, so the chance that it ever reaches ``1 / alpha`` is at most ``alpha`` (Ville's inequality): it may be
looked at after every draw. Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B
2024), whose section on sampling without replacement this is; the same, "Confidence sequences for sampling without
replacement" (NeurIPS 2020). The capital is split evenly over bets of several sizes, so that none has to be tuned.

Suffixes of arrays: T draws, S sizes of bets.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: The share of its capital that each part loses by a wrong document.
_STAKES = np.linspace(0.1, 1.0, 10)
_LARGEST_LOGARITHM = 700.0  # of a float


def capital(right_t: Array, population: int, target: float) -> Array:
    """The capital after each of T draws, of shape (T,); infinite once the target is certain.

    Args:
        right_t: whether each document drawn is right, in the order of drawing, of shape (T,).
        population: the documents there are, of which these were drawn without replacement.
        target: the share of right ones that is to be proven.
    """
    right_t = np.asarray(right_t, dtype=float)
    short = math.ceil(target * population - 1e-9) - 1  # the most right ones that are too few
    right_before_t = np.concatenate([[0.0], np.cumsum(right_t)[:-1]])
    left_t = population - np.arange(len(right_t))
    chance_t = np.clip((short - right_before_t) / left_t, 0.0, 1.0)  # of a right one next, if there are ``short``
    open_t1 = chance_t[:, None] < 1.0  # where all that is left would have to be right, nothing is bet
    # what is certain by then is set to infinity at the end, whatever stood there
    with np.errstate(divide="ignore", invalid="ignore"):
        gain_ts = np.where(open_t1, _STAKES * ((1.0 - chance_t) / chance_t)[:, None], 0.0)
        factor_ts = np.where(right_t[:, None] > 0, 1.0 + gain_ts, 1.0 - np.where(open_t1, _STAKES, 0.0))
        log_ts = np.cumsum(np.log(factor_ts), axis=0)
        capital_t: Array = np.exp(np.minimum(log_ts, _LARGEST_LOGARITHM)).mean(axis=1)
    return np.where(right_before_t + right_t > short, np.inf, capital_t)


def labels_needed(seen_t: Array, accuracy: float, population: int, target: float, alpha: float) -> int | None:
    """About how many labels prove the target, those ``seen_t`` included, if wrong ones come evenly at this accuracy.

    None if labels of the whole population would not. A projection, not a bound: chance may make it more or fewer.
    """
    wrong_by_then = np.floor(np.arange(population - len(seen_t) + 1) * (1.0 - accuracy) + 0.5)
    projected_t = np.concatenate([np.asarray(seen_t, dtype=float), 1.0 - np.diff(wrong_by_then)])
    proven = np.flatnonzero(capital(projected_t, population, target) >= 1.0 / alpha)
    return int(proven[0]) + 1 if len(proven) else None
