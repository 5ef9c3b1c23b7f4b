"""Figures of the overview, as the templates draw them: how often each label, how sure, and what people corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thresher.jobs import ReviewedLabel
from thresher.review.rows import Rows

#: More labels than this are summed up as the rest; a matrix of more labels cannot be read.
_MOST_BARS = 30
_MOST_IN_MATRIX = 12
_MOST_PAIRS = 15
_SHADES = 5


@dataclass(frozen=True, slots=True)
class Bar:
    """One label of the distribution."""

    label: str
    rows: int
    width: float  # percent of the longest
    share: float  # of the rows with an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How often the model gave each label."""

    bars: tuple[Bar, ...]
    rest_labels: int  # labels that are not among the bars
    rest_rows: int
    none: int  # rows with an answer but no label: abstained, or no label of ``multi`` applies
    failures: tuple[tuple[str, int], ...]  # status, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The model's labels (lines) against people's (columns), where few enough labels occur."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def shade(self, count: int) -> int:
        """How dark a cell is: 0 for none, up to 5."""
        largest = max(max(line) for line in self.counts)
        return 0 if not count else 1 + min(_SHADES - 1, _SHADES * count // (largest + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChanges:
    """Of a question of kind ``multi``: what people did with one label of the model."""

    label: str
    kept: int
    removed: int
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What people changed. For one label a row either a matrix or the most frequent changes; for several by label."""

    matrix: Matrix | None = None
    pairs: tuple[tuple[str, str, int], ...] = ()  # model's, person's, rows
    changes: tuple[LabelChanges, ...] = ()


def distribution(rows: Rows, question: str, labels: Sequence[str], failures: frozenset[str]) -> Distribution:
    """The distribution of the model's labels, the most frequent first; ``labels`` are those of the task."""
    counted: Counter[str] = Counter(dict.fromkeys(labels, 0))
    failed: Counter[str] = Counter()
    answered = none = 0
    for label, status, count in rows.labels(question):
        if status in failures:
            failed[status] += count
            continue
        answered += count
        named = _several(label)
        none += 0 if named else count
        for name in named:
            counted[name] += count
    ordered = counted.most_common()
    longest = max((count for _, count in ordered), default=0) or 1
    bars = tuple(
        Bar(label, count, 100 * count / longest, count / (answered or 1)) for label, count in ordered[:_MOST_BARS]
    )
    rest = ordered[_MOST_BARS:]
    return Distribution(
        bars=bars,
        rest_labels=len(rest),
        rest_rows=sum(count for _, count in rest),
        none=none,
        failures=tuple(failed.most_common()),
    )


def corrections(rows: Rows, question: str, *, multi: bool, labels: Sequence[str]) -> Corrections:
    """What people changed of the model's labels."""
    judged = rows.judged(question)
    if multi:
        return Corrections(changes=_changes(judged))
    pairs: Counter[tuple[str, str]] = Counter()
    for of_model, of_person, count in judged:
        pairs[
            " ".join(_several(of_model)) or "(no label)", " ".join(_several(of_person)) or "(none of the labels)"
        ] += count
    occurring = {label for pair in pairs for label in pair}
    if not pairs:
        return Corrections()
    if len(occurring) <= _MOST_IN_MATRIX:
        return Corrections(matrix=_matrix(pairs, occurring, labels))
    wrong = [(*pair, count) for pair, count in pairs.most_common() if pair[0] != pair[1]]
    return Corrections(pairs=tuple(wrong[:_MOST_PAIRS]))


def _matrix(pairs: Mapping[tuple[str, str], int], occurring: set[str], labels: Sequence[str]) -> Matrix:
    place = {label: number for number, label in enumerate(labels)}
    ordered = tuple(sorted(occurring, key=lambda label: (place.get(label, len(place)), label)))
    counts = tuple(tuple(pairs.get((line, column), 0) for column in ordered) for line in ordered)
    return Matrix(labels=ordered, counts=counts)


def _changes(
    judged: Sequence[tuple[ReviewedLabel | None, ReviewedLabel | None, int]],
) -> tuple[LabelChanges, ...]:
    kept: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    added: Counter[str] = Counter()
    for of_model, of_person, count in judged:
        told, right = set(_several(of_model)), set(_several(of_person))
        for counter, names in ((kept, told & right), (removed, told - right), (added, right - told)):
            counter.update(dict.fromkeys(names, count))
    every = sorted({*kept, *removed, *added}, key=lambda label: (-(removed[label] + added[label]), label))
    return tuple(
        LabelChanges(label=label, kept=kept[label], removed=removed[label], added=added[label]) for label in every
    )


def _several(label: ReviewedLabel | None) -> tuple[str, ...]:
    return label if isinstance(label, tuple) else (() if label is None else (label,))
