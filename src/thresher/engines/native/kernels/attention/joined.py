"""All stretches of keys that a query sees, laid one after the other: then one causal launch attends to them all.

A stretch that is seen whole may come in any order, so the causal one is put last and aligned with the last query, as
FlashAttention does from version 2.1 on. The keys are copied for that, which is cheap where few queries do not share
much; where many do (the branches of a large answer trie), stretches are attended one by one instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from thresher.engines.native.kernels.attention.pieces import KeysValues, Piece
from thresher.engines.native.transfer import to_device

_KEPT = 64
#: Keys may be copied up to so many for each query, or this many in all; of one sequence always, as they are there once.
KEYS_PER_QUERY, FEW_KEYS = 4, 8192


@dataclass(frozen=True, slots=True)
class Joined:
    """Where queries and their keys lie."""

    query_offsets: torch.Tensor  # int32 [spans + 1]
    key_offsets: torch.Tensor
    longest_query: int
    longest_key: int
    keys_count: int
    copies: tuple[tuple[torch.Tensor, torch.Tensor], ...]  # (rows, places) of the pack's keys, and of the held ones

    def keys_values(self, pack: KeysValues, held: KeysValues) -> KeysValues:
        """The keys and values of all spans, [keys_count, G, D]."""
        keys, values = (
            torch.empty(self.keys_count, *x.shape[1:], dtype=x.dtype, device=x.device) for x in (pack.keys, pack.values)
        )
        for source, (rows, places) in zip((pack, held), self.copies, strict=True):
            if len(rows):
                keys.index_copy_(0, places, source.keys.index_select(0, rows))
                values.index_copy_(0, places, source.values.index_select(0, rows))
        return KeysValues(keys, values)


def join(pieces: Sequence[Piece], device: torch.device) -> Joined | None:
    """The plan for ``pieces``, kept for the layers to come; None where it would copy too much."""
    return _join(tuple(pieces), device)


@lru_cache(maxsize=_KEPT)
def _join(pieces: tuple[Piece, ...], device: torch.device) -> Joined | None:
    own = sorted((piece for piece in pieces if piece.causal), key=lambda piece: piece.start)
    whole = [piece for piece in pieces if not piece.causal]
    spans = [[*(w for w in whole if w.start <= piece.start and piece.stop <= w.stop), piece] for piece in own]
    counts = [sum(part.key_stop - part.key_start for part in span) for span in spans]
    queries = own[-1].stop
    many = len(own) > 1 and sum(counts) > max(FEW_KEYS, KEYS_PER_QUERY * queries)
    if many or own[0].start:
        return None
    lengths = [piece.stop - piece.start for piece in own]
    return Joined(
        _offsets(lengths, device),
        _offsets(counts, device),
        max(lengths),
        max(counts),
        sum(counts),
        _copies(spans, device),
    )


def _copies(spans: Sequence[Sequence[Piece]], device: torch.device) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    found: dict[bool, list[tuple[int, int, int]]] = {False: [], True: []}  # by held: first key, count, place
    place = 0
    for part in (part for span in spans for part in span):
        count = part.key_stop - part.key_start
        found[part.held].append((part.key_start, count, place))
        place += count
    return tuple((_ranges(found[held], 0, device), _ranges(found[held], 2, device)) for held in (False, True))


def _ranges(parts: Sequence[tuple[int, int, int]], start: int, device: torch.device) -> torch.Tensor:
    ranges = [np.arange(part[start], part[start] + part[1]) for part in parts]
    return to_device(np.concatenate([np.empty(0, np.int64), *ranges]), device)


def _offsets(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return to_device(np.array([0, *lengths], dtype=np.int32).cumsum(dtype=np.int32), device)
