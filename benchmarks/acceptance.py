"""What ``thresher evaluate --target`` promises, simulated: how often it is wrong, and how many labels a proof takes.

    python -m benchmarks.acceptance [--repetitions 1000]

Two peers beside it in the same run, on the same labels: the exact bound of Clopper and Pearson looked at once after a
number of labels settled before, which is the least that any method can ask for, and the same bound looked at after
every label, which is what people do and what no bound of a fixed sample allows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import beta, binom

from benchmarks.machine import save
from thresher.evaluation.betting import capital
from thresher.evaluation.bounds import fixed_sample_sizes

DOCUMENTS, TARGET, CONFIDENCE = 10_000, 0.95, 0.95
ALPHA = 1 - CONFIDENCE
#: Marks of the capital: of one pile, and of each of the three places that ``evaluate`` begins at.
MARKS = {"one pile": 1 / ALPHA, "as evaluate uses it": 3 / ALPHA}
ACCURACIES = (1.0, 0.995, 0.99, 0.98, 0.97)
MOST_LABELS = 3_000

Array = np.ndarray[Any, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1_000)
    arguments = parser.parse_args()
    found = {
        "documents": DOCUMENTS,
        "target": TARGET,
        "confidence": CONFIDENCE,
        "repetitions": arguments.repetitions,
        "wrong_proofs": wrong_proofs(arguments.repetitions),
        "labels_until_proof": labels_until_proof(arguments.repetitions),
    }
    save("acceptance", found)


def draws(accuracy: float, repetitions: int) -> Any:
    """Orders of a pile's documents, of which this share is right (rounded down: never more)."""
    random = np.random.default_rng(0)
    right = np.arange(DOCUMENTS) < int(accuracy * DOCUMENTS + 1e-9)
    for _ in range(repetitions):
        yield random.permutation(right)[:MOST_LABELS]


def exact_bound(right_t: Array) -> Array:
    """The one-sided lower bound of Clopper and Pearson after each label."""
    n_t, k_t = np.arange(1, len(right_t) + 1), np.cumsum(right_t)
    return np.where(k_t == 0, 0.0, beta.ppf(ALPHA, np.maximum(k_t, 1), n_t - k_t + 1))


def wrong_proofs(repetitions: int) -> dict[str, float]:
    """Share of the repetitions that prove a pile one document short of the target, at any of 3,000 looks."""
    short = TARGET - 1 / DOCUMENTS
    ways: dict[str, Callable[[Array], bool]] = {
        name: lambda right_t, mark=mark: bool((capital(right_t, DOCUMENTS, TARGET) >= mark).any())  # type: ignore[misc]
        for name, mark in MARKS.items()
    }
    ways["exact bound, one look after 93"] = lambda right_t: bool(exact_bound(right_t[:93])[-1] >= TARGET)
    ways["exact bound, a look after every label"] = lambda right_t: bool((exact_bound(right_t) >= TARGET).any())
    counts = dict.fromkeys(ways, 0)
    for right_t in draws(short, repetitions):
        for name, proves in ways.items():
            counts[name] += proves(right_t)
    return {name: count / repetitions for name, count in counts.items()}


def labels_until_proof(repetitions: int) -> list[dict[str, Any]]:
    """Labels until the capital reaches its mark, and the fixed sample that proves it nine times in ten."""
    rows = []
    sizes = fixed_sample_sizes(TARGET, CONFIDENCE, most_wrong=60)
    for accuracy in ACCURACIES:
        row: dict[str, Any] = {"accuracy": accuracy, "fixed sample that suffices in 90%": _fixed(accuracy, sizes)}
        orders = list(draws(accuracy, repetitions))
        for name, mark in MARKS.items():
            reached = [np.flatnonzero(capital(right_t, DOCUMENTS, TARGET) >= mark) for right_t in orders]
            labels = np.array([places[0] + 1 if len(places) else np.inf for places in reached])
            median, ninety = np.quantile(labels, [0.5, 0.9], method="higher")
            row[name] = {"median": float(median), "90%": float(ninety) if np.isfinite(ninety) else None}
        rows.append(row)
    return rows


def _fixed(accuracy: float, sizes: dict[int, int]) -> int | None:
    return next((n for wrong, n in sizes.items() if binom.cdf(wrong, n, 1 - accuracy) >= 0.9), None)


if __name__ == "__main__":
    main()
