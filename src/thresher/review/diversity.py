"""Which of many examples to show to the model: every label in turn, and texts unlike those already chosen."""

from __future__ import annotations

import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from thresher.review.index import spaced
from thresher.tasks import Example

_BUCKETS = 4096
_WORD = re.compile(r"\w+")


def diverse(examples: Sequence[Example], count: int) -> list[Example]:
    """Up to ``count`` of ``examples``, never the same text twice.

    The labels take turns, the one with the most examples first. A label's first example is the text most like all of
    its texts together (the cosine of word counts with their sum); each further one is the text whose nearest
    neighbour among those chosen for the label is furthest away.
    """
    of_label: dict[object, dict[str, Example]] = {}
    for example in examples:
        of_label.setdefault(example.label, {}).setdefault(example.text, example)
    largest_first = sorted(of_label.values(), key=len, reverse=True)  # equal ones stay in the order of the decisions
    turns = deque(_ranked(list(of_text.values())) for of_text in largest_first)
    chosen: list[Example] = []
    while turns and len(chosen) < count:
        following = next(turns[0], None)
        if following is None:
            turns.popleft()
        else:
            chosen.append(following)
            turns.rotate(-1)
    return chosen


def _ranked(examples: Sequence[Example]) -> Iterator[Example]:
    """The examples of one label, the best to show first."""
    vectors = np.stack([_vector(example.text) for example in examples])
    best = int(np.argmax(vectors @ vectors.sum(axis=0)))
    nearest = np.full(len(examples), -np.inf)  # cosine with the nearest of those chosen
    for _ in examples:
        yield examples[best]
        nearest = np.maximum(nearest, vectors @ vectors[best])
        nearest[best] = np.inf
        best = int(np.argmin(nearest))


def _vector(text: str) -> NDArray[np.float32]:
    """A unit vector of hashed word counts, damped by their square root."""
    counts = np.zeros(_BUCKETS, dtype=np.float32)
    for word in _WORD.findall(spaced(text).lower()):
        counts[zlib.crc32(word.encode("utf-8", "replace")) % _BUCKETS] += 1
    vector: NDArray[np.float32] = np.sqrt(counts)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
