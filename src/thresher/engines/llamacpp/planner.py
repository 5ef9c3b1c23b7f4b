"""Which documents are decoded together. Arithmetic only.

llama.cpp splits what it is given into micro-batches. For models with recurrent layers every sequence in a
micro-batch has the same number of tokens, so unequal lengths break into many small micro-batches; hence
packs are made of like lengths and, where the state after the document is not needed, evened out with padding
behind the last token that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLimits:
    """What one pack may hold."""

    tokens: int  # of one micro-batch
    documents: int
    padding_share: float  # a pack's shortest document may be shorter than its longest by this share


def plan_packs(lengths: Sequence[int], limits: PackLimits) -> list[list[int]]:
    """Indices into ``lengths``, grouped: every index once, like lengths together, longest first.

    A pack of several documents fits ``limits.tokens`` with all of them evened out to the longest; a document
    longer than that is alone.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    packs: list[list[int]] = []
    for index in order:
        if packs and _fits(lengths[packs[-1][0]], lengths[index], len(packs[-1]), limits):
            packs[-1].append(index)
        else:
            packs.append([index])
    return packs


def _fits(longest: int, length: int, members: int, limits: PackLimits) -> bool:
    return (
        members < limits.documents
        and longest * (members + 1) <= limits.tokens
        and longest - length <= limits.padding_share * longest
    )


def plan_chunks(longest: int, sequences: int, micro_batch: int) -> list[range]:
    """Cut ``longest`` tokens into equal steps, so that ``sequences`` steps at a time fit a micro-batch."""
    width = max(1, micro_batch // sequences)
    count = -(-longest // width)
    step = -(-longest // count) if count else 1
    return [range(start, min(start + step, longest)) for start in range(0, longest, step)]
