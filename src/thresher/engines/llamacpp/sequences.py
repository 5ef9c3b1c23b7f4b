"""The sequences of one context: forks of each other, and tokens appended to many of them at once.

Nothing is ever cut off a sequence, because recurrent state cannot go back: what is continued more than once is forked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresher.engines.llamacpp.context import Context, Logits, Piece
from thresher.engines.llamacpp.planner import even_out, plan_chunks

Tokens = npt.NDArray[np.int32]
PREFIX_SEQUENCE = 0


@dataclass(slots=True)
class Tail:
    """Tokens to append to ``sequence``, which is ``start`` tokens long, and the offsets whose logits are wanted."""

    sequence: int
    start: int
    tokens: Tokens
    outputs: tuple[int, ...] = ()
    final: bool = False  # nothing is read after it, so that it may be padded

    @property
    def end(self) -> int:
        """Length of the sequence after this."""
        return self.start + len(self.tokens)


class Sequences:
    """Sequence 0 is the prefix's; the others are handed out as forks and given back."""

    def __init__(self, context: Context, *, keeps_state: bool) -> None:
        self._context = context
        self._keeps_state = keeps_state
        self.clear()

    def clear(self, *, overwrite: bool = False) -> None:
        """Empty all of them; ``overwrite`` also leaves no trace in the memory."""
        self._context.clear(overwrite=overwrite)
        self._free = list(range(self._context.shape.sequences - 1, PREFIX_SEQUENCE, -1))

    def fork(self, sources: Iterable[int]) -> list[int]:
        """A copy of each source, to be given back with ``drop``."""
        forks = []
        for source in sources:
            forks.append(self._free.pop())
            self._context.fork(source, forks[-1])
        return forks

    def drop(self, sequences: Sequence[int]) -> None:
        """Empty ``sequences`` and take them back."""
        for sequence in reversed(sequences):
            self._context.drop(sequence)
            self._free.append(sequence)

    def append(self, tails: Sequence[Tail]) -> list[Logits]:
        """Decode ``tails``; per tail the wanted rows, float32 [rows, vocabulary]. Raises ``DecodeError``."""
        padded = [len(tail.tokens) for tail in tails]
        if self._keeps_state:
            padded = even_out(padded, [tail.final for tail in tails])
        rows: list[list[Logits]] = [[] for _ in tails]
        for chunk in plan_chunks(max(padded), len(tails), self._context.shape.micro_batch):
            pieces = {index: _piece(tail, chunk, padded[index]) for index, tail in enumerate(tails)}
            pieces = {index: piece for index, piece in pieces.items() if len(piece.tokens)}
            logits = iter(self._context.decode(list(pieces.values())))
            for index, piece in pieces.items():
                rows[index].extend(next(logits) for _ in piece.outputs)
        return [np.stack(found) if found else np.empty((0, 0), dtype=np.float32) for found in rows]


def _piece(tail: Tail, chunk: range, padded: int) -> Piece:
    """The part of ``tail`` that lies in ``chunk``, its last token repeated up to ``padded``."""
    tokens = tail.tokens[chunk.start : chunk.stop]
    missing = min(padded, chunk.stop) - chunk.start - len(tokens)
    if missing > 0:
        tokens = np.concatenate([tokens, np.full(missing, tail.tokens[-1], dtype=np.int32)])
    outputs = tuple(offset - chunk.start for offset in tail.outputs if offset in chunk)
    return Piece(tail.sequence, tail.start + chunk.start, tokens, outputs)
