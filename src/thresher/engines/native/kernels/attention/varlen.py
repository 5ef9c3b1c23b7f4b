"""Attention on CUDA with FlashAttention over sequences of different lengths: one launch for all pieces, or per kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch

from thresher.engines.native.kernels.attention.flash import flash_causal, flash_with_sums
from thresher.engines.native.kernels.attention.joined import join
from thresher.engines.native.kernels.attention.pieces import KeysValues, Merger, Piece
from thresher.engines.native.transfer import to_device

#: FlashAttention 2 needs tensor cores of this generation.
_LEAST_CAPABILITY = (8, 0)
_KEPT = 128


def can_run(device: torch.device) -> bool:
    """Whether this torch and this card have it."""
    try:
        from torch.nn.attention.varlen import AuxRequest, varlen_attn  # noqa: F401
    except ImportError:
        return False
    return torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY


def attend(queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues) -> torch.Tensor:
    """See :class:`~thresher.engines.native.kernels.attention.pieces.AttentionKernel`."""
    joined = join(pieces, queries.device)
    if joined is None:
        return attend_by_kind(queries, pieces, seen)
    laid = joined.keys_values(seen)
    return flash_causal(
        queries,
        laid.keys,
        laid.values,
        joined.query_offsets,
        joined.key_offsets,
        joined.longest_query,
        joined.longest_key,
    )


def attend_by_kind(queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues) -> torch.Tensor:
    """The same without copying keys; the results of the launches are merged."""
    merger = Merger(queries)
    own = [piece for piece in pieces if piece.causal]
    _attend_kind(merger, queries, own, seen, causal=True)
    for depth in _by_depth([piece for piece in pieces if not piece.causal]):
        _attend_kind(merger, queries, depth, seen, causal=False)
    return merger.result(queries.dtype)


def _by_depth(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Sets of pieces in which no query comes twice."""
    sets: list[list[Piece]] = []
    for piece in pieces:
        free = next((s for s in sets if s[-1].stop <= piece.start), None)
        if free is None:
            sets.append([piece])
        else:
            free.append(piece)
    return sets


def _attend_kind(
    merger: Merger, queries: torch.Tensor, pieces: Sequence[Piece], seen: KeysValues, *, causal: bool
) -> None:
    queries_of = [(piece.start, piece.stop) for piece in pieces]
    keys_of = [(piece.key_start, piece.key_stop) for piece in pieces]
    outputs, logsumexps = flash_with_sums(
        _rows(queries, queries_of),
        _rows(seen.keys, keys_of),
        _rows(seen.values, keys_of),
        _offsets(tuple(stop - start for start, stop in queries_of), queries.device),
        _offsets(tuple(stop - start for start, stop in keys_of), queries.device),
        max(stop - start for start, stop in queries_of),
        max(stop - start for start, stop in keys_of),
        causal=causal,
    )
    take = merger.put if causal else merger.add
    if _adjacent(queries_of):
        take(queries_of[0][0], queries_of[-1][1], outputs, logsumexps)
        return
    row = 0
    for start, stop in queries_of:
        take(start, stop, outputs[row : row + stop - start], logsumexps[row : row + stop - start])
        row += stop - start


def _adjacent(ranges: Sequence[tuple[int, int]]) -> bool:
    return all(before[1] == after[0] for before, after in pairwise(ranges))


def _rows(x: torch.Tensor, ranges: Sequence[tuple[int, int]]) -> torch.Tensor:
    if _adjacent(ranges):
        return x[ranges[0][0] : ranges[-1][1]]
    return torch.cat([x[start:stop] for start, stop in ranges])


@lru_cache(maxsize=_KEPT)
def _offsets(lengths: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Kept for the layers to come: a copy from the host makes the device wait."""
    return to_device(np.array([0, *lengths], dtype=np.int32).cumsum(dtype=np.int32), device)
