"""Which documents are decoded together, and how many forks of them. Arithmetic only.

llama.cpp splits what it is given into micro-batches. For models with recurrent layers every sequence in a
micro-batch has the same number of tokens, so unequal lengths break into many small micro-batches; hence
packs are made of like lengths and, where the state after the document is not needed, evened out with padding
behind the last token that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thresher.engines.llamacpp.layout import Layout

#: Sequences this close in length are evened out: a micro-batch of their difference would cost more.
_NEAR_TOKENS, _NEAR_SHARE = 8, 1 / 16


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


def even_out(lengths: Sequence[int], may_pad: Sequence[bool]) -> list[int]:
    """``lengths`` where those that may be padded are raised to the next longer one, if that is near."""
    evened = list(lengths)
    target = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if may_pad[index] and target - lengths[index] <= max(_NEAR_TOKENS, _NEAR_SHARE * target):
            evened[index] = max(target, lengths[index])
        target = evened[index]
    return evened


@dataclass(frozen=True, slots=True, kw_only=True)
class Forks:
    """How many forks there may be at a time."""

    questions: int  # of documents, a question each; 0 where a single question is read with its document
    branches: int  # of those, a branching each


def plan_forks(layout: Layout, documents: int, longest: int, *, sequences: int, cells: int) -> Forks:
    """Forks for a pack of ``documents`` of at most ``longest`` tokens, in ``sequences`` beside the prefix's.

    As many as are of use, fit the sequences and, with the pack itself, ``cells``; at least one of each kind needed.
    """
    free = max(1, sequences - documents)
    room = cells - pack_cells(layout, documents, longest, Forks(questions=0, branches=0))
    share, one_branch = (2, layout.longest_branch) if layout.branchings else (1, 0)
    for_questions = min(room // share, room - one_branch) // max(1, layout.longest_rest)
    questions = min(documents * layout.questions, free // share, for_questions)
    questions = max(questions, min(1, layout.questions))
    room -= questions * layout.longest_rest
    branches = min(
        layout.branchings * max(questions, documents), free - questions, room // max(1, layout.longest_branch)
    )
    return Forks(questions=questions, branches=max(branches, min(1, layout.branchings)))


def pack_cells(layout: Layout, documents: int, longest: int, forks: Forks) -> int:
    """Tokens held at the worst moment: prefix, documents padded to the longest, all forks."""
    forked = forks.questions * layout.longest_rest + forks.branches * layout.longest_branch
    if max(forks.questions, forks.branches) <= 1:  # then both belong to one question
        forked = min(forked, layout.longest_way)
    return len(layout.prompt.prefix_tokens) + documents * (longest + layout.shared) + forked
