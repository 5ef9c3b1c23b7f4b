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
    """One token of a tree."""

    segment: int
    token: int


class Tree:
    """Segments that go on from one another, behind a held prefix: what one request adds to a pack."""

    def __init__(self, held_tokens: int) -> None:
        self.held_tokens = held_tokens
        self.drafts: list[_Draft] = []
        self.rows = 0

    def append(self, parent: int, tokens: Sequence[int]) -> int:
        """A new segment behind ``parent``; ``parent`` itself when there are no tokens."""
        if not len(tokens):
            return parent
        if parent == HELD:
            position, level = self.held_tokens, 0
        else:
            before = self.drafts[parent]
            before.continued = True
            position, level = before.position + len(before.tokens), before.level + 1
        self.drafts.append(_Draft(parent, tokens, position, level))
        self.rows += len(tokens)
        return len(self.drafts) - 1

    def keep(self, segment: int) -> None:
        """Later packs go on from ``segment``: its state is needed."""
        self.drafts[segment].continued = True

    def want(self, segment: int, before_end: int = 0) -> Place:
        """Ask for the hidden state ``before_end`` tokens before the last of ``segment``, or in its parent."""
        draft = self.drafts[segment]
        while before_end >= len(draft.tokens):
            before_end -= len(draft.tokens)
            segment = draft.parent
            draft = self.drafts[segment]
        token = len(draft.tokens) - 1 - before_end
        draft.wanted.append(token)
        return Place(segment, token)


def lay_out(trees: Sequence[Tree], step_rows: int, step_spans: int) -> tuple[Pack, list[dict[Place, int]]]:
    """The pack of ``trees``, and for each tree the index of its wanted places among the pack's outputs.

    ``step_rows`` and ``step_spans`` bound a step. All trees are behind the same prefix.
    """
    order = sorted(
        ((number, index) for number, tree in enumerate(trees) for index in range(len(tree.drafts))),
        key=lambda place: trees[place[0]].drafts[place[1]].level,
    )
    drafts = [trees[number].drafts[index] for number, index in order]
    segments = _segments(order, drafts)
    rows: list[dict[Place, int]] = [{} for _ in trees]
    for (number, index), segment, draft in zip(order, segments, drafts, strict=True):
        rows[number].update({Place(index, token): segment.row + token for token in draft.wanted})
    outputs = tuple(sorted({row for of_tree in rows for row in of_tree.values()}))
    ranks = {row: rank for rank, row in enumerate(outputs)}
    pack = Pack(
        tokens=_concatenated([draft.tokens for draft in drafts]),
        positions=_concatenated([range(d.position, d.position + len(d.tokens)) for d in drafts]),
        segments=tuple(segments),
        steps=tuple(_steps(segments, drafts, step_rows, step_spans)),
        outputs=outputs,
        held_tokens=trees[0].held_tokens,
    )
    return pack, [{place: ranks[row] for place, row in of_tree.items()} for of_tree in rows]


def _segments(order: Sequence[tuple[int, int]], drafts: Sequence[_Draft]) -> list[Segment]:
    """In the order of their rows; parents are renumbered."""
    renumbered = {place: new for new, place in enumerate(order)}
    segments: list[Segment] = []
    row = 0
    for (number, _), draft in zip(order, drafts, strict=True):
        parent = HELD if draft.parent == HELD else renumbered[number, draft.parent]
        lineage = () if parent == HELD else (*segments[parent].lineage, parent)
        segments.append(Segment(parent, row, len(draft.tokens), draft.position, draft.continued, lineage))
        row += len(draft.tokens)
    return segments


def _concatenated(parts: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts]) if parts else np.empty(0, np.int64)


def _steps(segments: Sequence[Segment], drafts: Sequence[_Draft], step_rows: int, step_spans: int) -> list[Step]:
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
