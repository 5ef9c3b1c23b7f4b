"""All stretches of keys that a query sees, laid one after the other: then one causal launch attends to them all.

A stretch that is seen whole may come in any order, so the causal one is put last and aligned with the last query, as
FlashAttention does from version 2.1 on. Where the stretches follow one another already (a prefix, the first document
behind it, documents without a prefix) nothing is copied. Else keys are, which is cheap where few queries do not share
much; where many do (the branches of a large answer trie), stretches are attended one by one instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

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
    rows: slice | torch.Tensor  # of the keys of all spans, in order; int64 where they do not lie so

    def keys_values(self, seen: KeysValues) -> KeysValues:
        """The keys and values of all spans."""
        if isinstance(self.rows, slice):
            return KeysValues(seen.keys[self.rows], seen.values[self.rows])
        return KeysValues(seen.keys.index_select(0, self.rows), seen.values.index_select(0, self.rows))


def join(pieces: Sequence[Piece], device: torch.device) -> Joined | None:
    """The plan for ``pieces``, kept for the layers to come; None where it would copy too much."""
    return _join(tuple(pieces), device)


@lru_cache(maxsize=_KEPT)
def _join(pieces: tuple[Piece, ...], device: torch.device) -> Joined | None:
    own = sorted((piece for piece in pieces if piece.causal), key=lambda piece: piece.start)
    whole = sorted((piece for piece in pieces if not piece.causal), key=lambda piece: piece.key_start)
    spans = [[*(w for w in whole if w.start <= piece.start and piece.stop <= w.stop), piece] for piece in own]
    counts = [sum(part.key_stop - part.key_start for part in span) for span in spans]
    stretches = [(part.key_start, part.key_stop) for span in spans for part in span]
    copied = any(before[1] != after[0] for before, after in pairwise(stretches))
    too_many = copied and len(own) > 1 and sum(counts) > max(FEW_KEYS, KEYS_PER_QUERY * own[-1].stop)
    if too_many or own[0].start:
        return None
    lengths = [piece.stop - piece.start for piece in own]
    rows = _rows(stretches, device) if copied else slice(stretches[0][0], stretches[-1][1])
    return Joined(_offsets(lengths, device), _offsets(counts, device), max(lengths), max(counts), rows)


def _rows(stretches: Sequence[tuple[int, int]], device: torch.device) -> torch.Tensor:
    return to_device(np.concatenate([np.arange(*stretch, dtype=np.int64) for stretch in stretches]), device)


def _offsets(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return to_device(np.array([0, *lengths], dtype=np.int32).cumsum(dtype=np.int32), device)
