"""Which training texts to show to the model: every label in turn, and texts unlike those already chosen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

#: Candidates looked at for each label; of more, so many are drawn.
_CANDIDATES = 1_000
#: Characters of a text that are compared.
_COMPARED_CHARACTERS = 2_000


def choose_examples(
    texts: Sequence[str], labels: Sequence[str], count: int, random: np.random.RandomState
) -> list[tuple[str, str]]:
    """``count`` pairs of text and label, or as many as there are texts that say something.

    The labels take turns, the most frequent first, so that with ``count`` of at least the number of labels each is
    shown. A label's first example is the text nearest to the mean of its texts, each further one the text least like
    those chosen for the label (cosine of hashed character n-grams). The same for the same ``random``.
    """
    rows_of: dict[str, list[int]] = {}
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if text.strip():
            rows_of.setdefault(label, []).append(row)
    turns = deque(_ranked(texts, label, rows, random) for label, rows in _by_frequency(rows_of))
    chosen: list[tuple[str, str]] = []
    while turns and len(chosen) < count:
        example = next(turns[0], None)
        if example is None:
            turns.popleft()
        else:
            chosen.append(example)
            turns.rotate(-1)
    return chosen


def _by_frequency(rows_of: Mapping[str, list[int]]) -> list[tuple[str, list[int]]]:
    return sorted(rows_of.items(), key=lambda item: (-len(item[1]), item[0]))


def _ranked(
    texts: Sequence[str], label: str, rows: Sequence[int], random: np.random.RandomState
) -> Iterator[tuple[str, str]]:
    """The label's texts, the best to show first."""
    if len(rows) > _CANDIDATES:
        rows = sorted(random.choice(rows, _CANDIDATES, replace=False).tolist())
    vectors = _vectors([texts[row] for row in rows])
    mean = np.asarray(vectors.mean(axis=0)).ravel()
    best = int(np.argmax(vectors @ mean))
    nearest = np.full(len(rows), -1.0)  # cosine with the nearest of those chosen
    for _ in rows:
        yield texts[rows[best]], label
        nearest = np.maximum(nearest, np.asarray((vectors @ vectors[best].T).todense()).ravel())
        nearest[best] = np.inf
        best = int(np.argmin(nearest))


def _vectors(texts: Sequence[str]) -> Any:
    """Unit vectors of shape (texts, features), sparse."""
    hashing = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 4), n_features=1 << 18, alternate_sign=False)
    return hashing.transform([text[:_COMPARED_CHARACTERS] for text in texts])
