"""Takes the answers to questions off the logits, down their tries.

A walk asks for branchings in waves. Each is read by a fork: of the branching above it where that one's fork was kept,
else of the sequence that ends at the trie's first branching. So the tokens that branchings share (a whole follow-up
turn, where labels are hierarchical) are decoded once, as far as the forks at hand reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from thresher.answers import Answer, AnswerWalk, Path
from thresher.engines.llamacpp.context import Logits
from thresher.engines.llamacpp.sequences import Sequences, Tail
from thresher.types import QuestionPrompt


@dataclass(slots=True)
class Reading:
    """What became of one document: an answer per question, or an error."""

    answers: list[Answer] = field(default_factory=list)
    error: str | None = None
    decoded_tokens: int = 0  # padding not counted


@dataclass(frozen=True, slots=True)
class Node:
    """A sequence that ends where a branching of the answers is: ``depth`` answer tokens after the suffix."""

    sequence: int
    end: int
    depth: int


class Asked:
    """One question put to one document. ``tail`` ends where the first branching of the answers is."""

    def __init__(self, question: QuestionPrompt, reading: Reading, tail: Tail) -> None:
        self.question = question
        self.reading = reading
        self.tail = tail
        self.walk = AnswerWalk(question.trie)
        root = question.trie.root_path or ()
        last = len(tail.tokens) - 1
        tail.outputs = tuple(sorted({last - len(root), last}))
        tail.final = len(question.trie.branchings) <= 1
        self.nodes: dict[Path, Node] = {root: Node(tail.sequence, tail.end, len(root))}

    def observe_root(self, logits: Logits) -> None:
        """``logits``: at the end of the suffix, and at the first branching if that is elsewhere."""
        self.reading.decoded_tokens += len(self.tail.tokens)
        mass = _mass(logits[0], self.question.trie.first_tokens)
        if np.isfinite(mass):
            self.walk.observe_label_mass(mass)
        else:
            self.reading.error = "the model gave logits that are not numbers"
        if self.question.trie.root_path is not None:
            self.observe(self.question.trie.root_path, logits[-1])

    def observe(self, path: Path, row: npt.NDArray[np.float32]) -> None:
        """``row``: the logits at the branching ``path``, over the vocabulary."""
        try:
            self.walk.observe(path, row[list(self.question.trie.branchings[path].tokens)].tolist())
        except ValueError as error:
            self.reading.error = str(error)

    def wanted(self) -> list[Path]:
        """The branchings to look at next."""
        return [] if self.reading.error is not None else self.walk.wanted()

    def nearest(self, path: Path) -> Node:
        """The deepest sequence at hand on the way to ``path``."""
        return max((node for at, node in self.nodes.items() if path[: len(at)] == at), key=lambda node: node.depth)

    def goes_on_below(self, path: Path) -> bool:
        """Whether there are branchings below ``path``."""
        return any(below is not None for below in self.question.trie.branchings[path].next_paths)


def answer(sequences: Sequences, asked: Sequence[Asked], branch_forks: int) -> None:
    """Append every tail and follow the tries, with at most ``branch_forks`` forks at a time. Fills the readings.

    Raises ``DecodeError``. Logits that are not numbers become the error of the reading they belong to.
    """
    for one, logits in zip(asked, sequences.append([one.tail for one in asked]), strict=True):
        one.observe_root(logits)
    kept: list[tuple[Asked, Path]] = []
    while wanted := [(one, path) for one in asked for path in one.wanted()]:
        before, kept = kept, []
        for group in _groups(wanted, branch_forks - branch_forks // 4 * 2):
            kept += _look(sequences, group, may_keep=branch_forks // 4 - len(kept))
        _release(sequences, before)
    _release(sequences, kept)
    for one in asked:
        if one.reading.error is None:
            one.reading.answers.append(one.walk.answer())


def _groups(wanted: list[tuple[Asked, Path]], size: int) -> Iterator[list[tuple[Asked, Path]]]:
    """Like lengths together, longest first: unequal ones break into many micro-batches where there is state."""
    ordered = sorted(wanted, key=lambda item: item[0].nearest(item[1]).depth - len(item[1]))
    yield from (ordered[first : first + size] for first in range(0, len(ordered), size))


def _look(sequences: Sequences, group: Sequence[tuple[Asked, Path]], may_keep: int) -> list[tuple[Asked, Path]]:
    """Observe one branching each; returns those, at most ``may_keep``, whose forks stay for the branchings below."""
    starts = [one.nearest(path) for one, path in group]
    forks = sequences.fork(node.sequence for node in starts)
    kept = [item for item in group if item[0].goes_on_below(item[1])][: max(0, may_keep)]
    tails = []
    for (one, path), node, fork in zip(group, starts, forks, strict=True):
        tokens = np.array(path[node.depth :], dtype=np.int32)
        tails.append(Tail(fork, node.end, tokens, (len(tokens) - 1,), final=(one, path) not in kept))
    rows = sequences.append(tails)
    dropped = []
    for (one, path), tail, logits in zip(group, tails, rows, strict=True):
        one.reading.decoded_tokens += len(tail.tokens)
        one.observe(path, logits[-1])
        if tail.final:
            dropped.append(tail.sequence)
        else:
            one.nodes[path] = Node(tail.sequence, tail.end, len(path))
    sequences.drop(dropped)
    return kept


def _release(sequences: Sequences, kept: Sequence[tuple[Asked, Path]]) -> None:
    sequences.drop([one.nodes.pop(path).sequence for one, path in kept])


def _mass(row: npt.NDArray[np.float32], tokens: tuple[int, ...]) -> float:
    """Probability of ``tokens`` under the softmax over the whole ``row``, summed in double precision."""
    weights = np.exp(row - row.max())
    return float(weights[list(tokens)].sum(dtype=np.float64) / weights.sum(dtype=np.float64))
