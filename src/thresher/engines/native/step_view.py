"""What every layer needs to know of one step, worked out once per pass: who sees whom, and which rows go where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thresher.engines.native.kernels.attention import Piece
from thresher.engines.native.pack import Pack, Segment, Span, Step
from thresher.engines.native.transfer import to_device


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step of a pack on a device. A row is counted from the step's first."""

    start: int  # the step's rows in the pack
    stop: int
    spans: tuple[Span, ...]
    sources: tuple[int, ...]  # per span, the segment whose state it starts from (itself, its parent or HELD)
    pieces: tuple[Piece, ...]  # of the attention of all rows
    wanted_pieces: tuple[Piece, ...]  # of the attention of the wanted rows, counted among themselves
    wanted: tuple[int, ...]  # rows whose hidden state is wanted of the last layer
    wanted_rows: torch.Tensor  # int64: the same on the device
    cos: torch.Tensor  # float32 [rows, 1, rotary_dim / 2]
    sin: torch.Tensor


def step_views(pack: Pack, cos: torch.Tensor, sin: torch.Tensor) -> list[StepView]:
    """One view per step; ``cos`` and ``sin`` [rows of the pack, 1, rotary_dim / 2] are on the device."""
    return [_step_view(pack, step, cos[step.start : step.stop], sin[step.start : step.stop]) for step in pack.steps]


def _step_view(pack: Pack, step: Step, cos: torch.Tensor, sin: torch.Tensor) -> StepView:
    wanted = _wanted_rows(step.spans)
    return StepView(
        start=step.start,
        stop=step.stop,
        spans=step.spans,
        sources=tuple(_source(pack.segments[span.segment], span) for span in step.spans),
        pieces=tuple(attention_pieces(pack, step.spans, [span.length for span in step.spans])),
        wanted_pieces=tuple(attention_pieces(pack, step.spans, [span.wanted for span in step.spans])),
        wanted=wanted,
        wanted_rows=to_device(np.array(wanted, dtype=np.int64), cos.device),
        cos=cos,
        sin=sin,
    )


def attention_pieces(pack: Pack, spans: Sequence[Span], counts: Sequence[int]) -> list[Piece]:
    """What the last ``counts[i]`` rows of each span see; causal pieces first.

    Keys are counted from the held prefix's first: the pack's come behind it.
    """
    pieces: list[Piece] = []
    latest: dict[int, int] = {}  # segment seen whole -> index of the latest piece over it
    row = 0
    for span, count in zip(spans, counts, strict=True):
        if not count:
            continue
        segment = pack.segments[span.segment]
        before = span.start + span.length - count
        first_key = pack.held_tokens + segment.row
        pieces.append(Piece(row, row + count, first_key + before, first_key + before + count, True))
        if before:
            pieces.append(Piece(row, row + count, first_key, first_key + before, False))
        for ancestor in segment.lineage:
            _extend(pieces, latest, pack, ancestor, row, count)
        row += count
    if pack.held_tokens and row:
        pieces.append(Piece(0, row, 0, pack.held_tokens, False))
    return sorted(pieces, key=lambda piece: not piece.causal)


def _extend(pieces: list[Piece], latest: dict[int, int], pack: Pack, ancestor: int, row: int, count: int) -> None:
    """Siblings that follow one another see their ancestor in one piece."""
    start, index = row, latest.get(ancestor)
    if index is not None and pieces[index].stop == row:
        start = pieces[index].start
    else:
        index = len(pieces)
        pieces.append(Piece(0, 0, 0, 0, False))
    first_key = pack.held_tokens + pack.segments[ancestor].row
    pieces[index] = Piece(start, row + count, first_key, first_key + pack.segments[ancestor].length, False)
    latest[ancestor] = index


def _source(segment: Segment, span: Span) -> int:
    if span.start:
        return span.segment
    return segment.parent


def _wanted_rows(spans: Sequence[Span]) -> tuple[int, ...]:
    rows: list[int] = []
    row = 0
    for span in spans:
        row += span.length
        rows.extend(range(row - span.wanted, row))
    return tuple(rows)
