"""Intervals by resampling documents: what the figures would have been with other documents of the same kind.

Suffixes of arrays: N documents, R resamples, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from thresher.evaluation.encoding import Encoded

RESAMPLES = 1_000
CONFIDENCE = 0.95
_AT_A_TIME = 32

Array = np.ndarray[Any, Any]


def resampled_counts(documents: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Array]:
    """How often each document is drawn, of shape (resamples at a time, documents); documents drawn with replacement."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, _AT_A_TIME):
        draws = [random.integers(0, documents, documents) for _ in range(min(_AT_A_TIME, resamples - start))]
        yield np.array([np.bincount(draw, minlength=documents) for draw in draws])


def percentile_interval(values: Array, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle ``confidence`` of the values (percentile bootstrap; Efron and Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled_figures(encoded: Encoded, seed: int, resamples: int = RESAMPLES) -> dict[str, Array]:
    """Accuracy, micro, macro and weighted F1 of each resample, as scikit-learn gives them for the documents drawn."""
    gold, said = encoded.gold_nc1[:, :-1], encoded.said_nc1[:, :-1]
    hits = gold.multiply(said).tocsr()
    parts = [_figures(counts, encoded.right_n, hits, gold, said) for counts in resampled_counts(
        encoded.documents, seed, resamples
    )]  # fmt: skip
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _figures(
    counts_rn: Array, right_n: Array, hits: csr_matrix, gold: csr_matrix, said: csr_matrix
) -> dict[str, Array]:
    hits_rc, gold_rc, said_rc = (_sums(counts_rn, matrix) for matrix in (hits, gold, said))
    occurring_rc = gold_rc + said_rc
    f1_rc = _ratio(2 * hits_rc, occurring_rc)
    return {
        "accuracy": (counts_rn @ right_n) / counts_rn.sum(axis=1),
        "micro_f1": _ratio(2 * hits_rc.sum(axis=1), occurring_rc.sum(axis=1)),
        "macro_f1": _ratio(f1_rc.sum(axis=1), (occurring_rc > 0).sum(axis=1)),
        "weighted_f1": _ratio((f1_rc * gold_rc).sum(axis=1), gold_rc.sum(axis=1)),
    }


def _sums(counts_rn: Array, matrix: csr_matrix) -> Array:
    """Each class's total in each resample, of shape (resamples, classes)."""
    return np.asarray(matrix.T @ counts_rn.T).T


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)
