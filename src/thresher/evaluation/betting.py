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
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: The share of its capital that each part loses by a wrong document.
_STAKES = np.linspace(0.1, 1.0, 10)
_LARGEST_LOGARITHM = 700.0  # of a float
_DRAWS_A_TIME = 20_000


def capital(right_t: Array, population: int, target: float) -> Array:
    """The capital after each of T draws, of shape (T,); infinite once the target is certain.

    Args:
        right_t: whether each document drawn is right, in the order of drawing, of shape (T,).
        population: the documents there are, of which these were drawn without replacement.
        target: the share of right ones that is to be proven.
    """
    return np.concatenate([np.empty(0), *_capital_pieces(right_t, population, target)])


def _capital_pieces(right_t: Array, population: int, target: float) -> Iterator[Array]:
    """The capital, some draws at a time: a column for each bet takes ten times the memory of the draws."""
    short = math.ceil(target * population - 1e-9) - 1  # the most right ones that are too few
    right_so_far, log_s = 0.0, np.zeros(len(_STAKES))
    for start in range(0, len(right_t), _DRAWS_A_TIME):
        piece_t = np.asarray(right_t[start : start + _DRAWS_A_TIME], dtype=float)
        right_before_t = right_so_far + np.concatenate([[0.0], np.cumsum(piece_t)[:-1]])
        left_t = population - start - np.arange(len(piece_t))
        chance_t = np.clip((short - right_before_t) / left_t, 0.0, 1.0)  # of a right one next, if there are ``short``
        log_ts = _log_capital(log_s, piece_t, chance_t)
        capital_t: Array = np.exp(np.minimum(log_ts, _LARGEST_LOGARITHM)).mean(axis=1)
        yield np.where(right_before_t + piece_t > short, np.inf, capital_t)
        right_so_far, log_s = right_so_far + float(piece_t.sum()), log_ts[-1]


def _log_capital(before_s: Array, right_t: Array, chance_t: Array) -> Array:
    """The logarithm of each bet's capital after each draw, of shape (T, S)."""
    open_t1 = chance_t[:, None] < 1.0  # where all that is left would have to be right, nothing is bet
    # what is certain by then is set to infinity at the end, whatever stood there
    with np.errstate(divide="ignore", invalid="ignore"):
        gain_ts = np.where(open_t1, _STAKES * ((1.0 - chance_t) / chance_t)[:, None], 0.0)
        factor_ts = np.where(right_t[:, None] > 0, 1.0 + gain_ts, 1.0 - np.where(open_t1, _STAKES, 0.0))
        log_ts: Array = before_s + np.cumsum(np.log(factor_ts), axis=0)
    return log_ts


def labels_needed(seen_t: Array, accuracy: float, population: int, target: float, alpha: float) -> int | None:
    """About how many labels prove the target, those ``seen_t`` included, if wrong ones come evenly at this accuracy.

    None if labels of the whole population would not. A projection, not a bound: chance may make it more or fewer.
    """
    wrong_by_then = np.floor(np.arange(population - len(seen_t) + 1) * (1.0 - accuracy) + 0.5)
    projected_t = np.concatenate([np.asarray(seen_t, dtype=bool), np.diff(wrong_by_then) == 0.0])
    drawn = 0
    for capital_t in _capital_pieces(projected_t, population, target):
        proven = np.flatnonzero(capital_t >= 1.0 / alpha)
        if len(proven):
            return drawn + int(proven[0]) + 1
        drawn += len(capital_t)
    return None
