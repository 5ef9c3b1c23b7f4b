"""A pack: token sequences that share beginnings, laid out as rows, and the steps in which they are read.

A pack is a tree of segments. Documents go on from the held prefix, questions from their document, the branches of an
answer trie from their question; a segment's context is what its ancestors hold and its own earlier tokens. Rows are
laid out level by level, so that a segment's rows are contiguous and come after all of its ancestors'; a step is a range
of rows that holds no segment together with its descendant. Within a layer the steps follow one another, and the
layer's keys, values and states are all that passes between them. So one bound on a step's rows bounds the
activations, whatever the length of a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt

#: Parent of segments that go on from the held prefix (or from nothing, where none is held).
HELD = -1


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens in a row of one sequence."""

    parent: int  # index of the segment it goes on from, or HELD
    row: int  # of its first token in the pack
    length: int  # at least 1
    position: int  # of its first token in its sequence, tokens of the held prefix counted
    continued: bool  # whether other segments go on from it
    lineage: tuple[int, ...]  # its ancestors, oldest first


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a segment that one step reads."""

    segment: int
    start: int  # tokens of the segment read before
    length: int
    wanted: int  # this many of its last rows are wanted from the last layer, 0 to length
    carries_on: bool  # its state is needed afterwards, by the rest of the segment or by descendants


@dataclass(frozen=True, slots=True)
class Step:
    """Rows ``start`` to ``stop`` of the pack, which are the spans' one after the other."""

    start: int
    stop: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What one pass reads. ``outputs`` are rows, ascending, each once."""

    tokens: npt.NDArray[np.int64]  # [rows]
    positions: npt.NDArray[np.int64]  # [rows]
    segments: tuple[Segment, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    held_tokens: int  # length of the prefix that the pack goes on from


@dataclass(slots=True)
class _Draft:
    parent: int
    tokens: Sequence[int]
    position: int
    level: int
    wanted: list[int] = field(default_factory=list)  # tokens of it whose hidden state is wanted
    continued: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One token of a draft: ``segment`` as the builder counts them, ``token`` within it."""

    segment: int
    token: int


class PackBuilder:
    """Collects segments, then lays them out."""

    def __init__(self, held_tokens: int) -> None:
        self._held_tokens = held_tokens
        self._drafts: list[_Draft] = []

    def append(self, parent: int, tokens: Sequence[int]) -> int:
        """A new segment behind ``parent``; ``parent`` itself when there are no tokens."""
        if not len(tokens):
            return parent
        if parent == HELD:
            position, level = self._held_tokens, 0
        else:
            before = self._drafts[parent]
            before.continued = True
            position, level = before.position + len(before.tokens), before.level + 1
        self._drafts.append(_Draft(parent, tokens, position, level))
        return len(self._drafts) - 1

    def keep(self, segment: int) -> None:
        """Later packs go on from ``segment``: its state is needed."""
        self._drafts[segment].continued = True

    def want(self, segment: int, token: int) -> Place:
        """Ask for the hidden state at ``token`` of ``segment``; negative tokens count from its end."""
        draft = self._drafts[segment]
        token = range(len(draft.tokens))[token]
        draft.wanted.append(token)
        return Place(segment, token)

    def build(self, step_rows: int, step_spans: int) -> tuple[Pack, dict[Place, int]]:
        """The pack, and for each wanted place its index among the pack's outputs.

        ``step_rows`` and ``step_spans`` bound a step.
        """
        order = sorted(range(len(self._drafts)), key=lambda index: self._drafts[index].level)
        segments = self._segments(order)
        drafts = [self._drafts[index] for index in order]
        rows = {
            Place(index, token): segment.row + token
            for index, segment in zip(order, segments, strict=True)
            for token in self._drafts[index].wanted
        }
        outputs = tuple(sorted(set(rows.values())))
        ranks = {row: rank for rank, row in enumerate(outputs)}
        pack = Pack(
            tokens=_concatenated([draft.tokens for draft in drafts]),
            positions=_concatenated([range(d.position, d.position + len(d.tokens)) for d in drafts]),
            segments=tuple(segments),
            steps=tuple(_steps(segments, drafts, step_rows, step_spans)),
            outputs=outputs,
            held_tokens=self._held_tokens,
        )
        return pack, {place: ranks[row] for place, row in rows.items()}

    def _segments(self, order: Sequence[int]) -> list[Segment]:
        """In the order of their rows; parents are renumbered."""
        renumbered = {old: new for new, old in enumerate(order)} | {HELD: HELD}
        segments: list[Segment] = []
        row = 0
        for index in order:
            draft = self._drafts[index]
            parent = renumbered[draft.parent]
            lineage = () if parent == HELD else (*segments[parent].lineage, parent)
            segments.append(Segment(parent, row, len(draft.tokens), draft.position, draft.continued, lineage))
            row += len(draft.tokens)
        return segments


def _concatenated(parts: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts]) if parts else np.empty(0, np.int64)


def _steps(
    segments: Sequence[Segment], drafts: Sequence[_Draft], step_rows: int, step_spans: int
) -> list[Step]:
    steps: list[Step] = []
    for _, same_level in groupby(range(len(segments)), key=lambda index: drafts[index].level):
        spans: list[Span] = []
        for index in same_level:
            for span in _cut(index, segments[index], drafts[index].wanted, step_rows):
                rows = sum(other.length for other in spans)
                if spans and (rows + span.length > step_rows or len(spans) == step_spans or span.start):
                    steps.append(_step(segments, spans))
                    spans = []
                spans.append(span)
        steps.append(_step(segments, spans))
    return steps


def _cut(index: int, segment: Segment, wanted: Sequence[int], step_rows: int) -> list[Span]:
    """One span, or as many as a segment longer than a step needs."""
    first_wanted = min(wanted, default=segment.length)
    last_wanted = max(wanted, default=-1)
    spans = []
    for start in range(0, segment.length, step_rows):
        stop = min(start + step_rows, segment.length)
        tail = stop - max(start, first_wanted) if last_wanted >= start and first_wanted < stop else 0
        carries_on = segment.continued or stop < segment.length
        spans.append(Span(index, start, stop - start, tail, carries_on))
    return spans


def _step(segments: Sequence[Segment], spans: Sequence[Span]) -> Step:
    start = segments[spans[0].segment].row + spans[0].start
    return Step(start, start + sum(span.length for span in spans), tuple(spans))
