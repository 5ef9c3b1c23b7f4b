"""The answer trie: which token sequences are valid answers, and how their probabilities come from logits.

Every label is a token sequence that ends with the template's end-of-turn token, so no answer is a prefix
of another. A label's probability is the product, over the branchings on its path, of the softmax over
the valid next tokens only; a position with one valid child costs nothing. ``label_mass`` is the
probability, under the softmax over the whole vocabulary, of all valid first tokens.

    trie = AnswerTrie(labels, sequences)       # once per question
    walk = AnswerWalk(trie)                    # once per document
    while paths := walk.wanted():              # answer tokens to append before the logits are read
        for path in paths:
            walk.observe(path, logits of trie.branchings[path].tokens)
    walk.observe_label_mass(mass)              # optional, from the root's logits
    walk.answer()
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Branches are followed until less than this much probability is left unexplored.
UNEXPLORED_MASS_LIMIT = 1e-4

Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Branching:
    """A place in the trie where two or more next tokens are valid."""

    path: Path  # the answer's tokens before this place, () at the root
    tokens: tuple[int, ...]  # valid next tokens
    members: tuple[tuple[int, ...], ...]  # for each of them, the labels (by index) that go on with it
    next_paths: tuple[Path | None, ...]  # for each of them, the next branching below it, None at a single label


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says to one question.

    Some endpoints only say which label they mean: then ``probabilities`` is empty and ``choice`` is that label.
    """

    probabilities: tuple[float, ...]  # of the trie's labels in their order; sums to 1
    label_mass: float | None  # unconstrained probability of all valid first tokens; None if not measured
    choice: int | None = None  # the label, by its place in the trie, where its probability is unknown

    @property
    def best(self) -> int:
        """The label's place in the trie: the likeliest, the first of equals."""
        if self.choice is not None:
            return self.choice
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)


class AnswerTrie:
    """The valid answers of one question: ``labels[i]`` is answered by the tokens ``sequences[i]``.

    Raises ``ValueError`` when there is no label, a sequence is empty, or one repeats or begins another (give each
    its end-of-turn token).
    """

    def __init__(self, labels: Sequence[str], sequences: Sequence[Sequence[int]]) -> None:
        if not labels or len(labels) != len(sequences):
            raise ValueError(f"{len(labels)} labels with {len(sequences)} token sequences")
        self.labels = tuple(labels)
        self.sequences = tuple(tuple(sequence) for sequence in sequences)
        self.longest_answer_tokens = max(map(len, self.sequences))
        self.first_tokens = tuple(dict.fromkeys(sequence[0] for sequence in self.sequences if sequence))
        self.branchings: Mapping[Path, Branching] = self._find_branchings()
        #: The first branching: () unless all labels begin with the same tokens; None with a single label.
        self.root_path: Path | None = min(self.branchings, key=len, default=None)

    def _find_branchings(self) -> dict[Path, Branching]:
        found: dict[Path, Branching] = {}
        pending: list[tuple[Path, tuple[int, ...]]] = [((), tuple(range(len(self.sequences))))]
        while pending:
            start, members = pending.pop()
            if len(members) == 1 and self.sequences[members[0]]:
                continue
            path, children = self._descend(start, members)
            next_paths = tuple(
                None if len(child) == 1 else self._descend((*path, token), tuple(child))[0]
                for token, child in children.items()
            )
            found[path] = Branching(path, tuple(children), tuple(map(tuple, children.values())), next_paths)
            pending.extend(((*path, token), tuple(child)) for token, child in children.items())
        return found

    def _descend(self, path: Path, members: tuple[int, ...]) -> tuple[Path, dict[int, list[int]]]:
        """Follow single children from ``path`` to the next branching of ``members``."""
        while True:
            children: dict[int, list[int]] = {}
            for member in members:
                sequence = self.sequences[member]
                if len(sequence) <= len(path):
                    raise ValueError(f"the answer for {self.labels[member]!r} repeats or begins another label's answer")
                children.setdefault(sequence[len(path)], []).append(member)
            if len(children) > 1:
                return path, children
            path = (*path, next(iter(children)))


class AnswerWalk:
    """One document's way down the trie; an engine feeds it the logits that it asks for."""

    def __init__(self, trie: AnswerTrie, unexplored_mass_limit: float = UNEXPLORED_MASS_LIMIT) -> None:
        self._trie = trie
        self._limit = unexplored_mass_limit
        self._probabilities = [0.0] * len(trie.labels)
        self._open: dict[Path, float] = {}  # branching not yet observed -> probability of reaching it
        self._label_mass: float | None = None
        if trie.root_path is None:
            self._probabilities[0] = 1.0
        else:
            self._open[trie.root_path] = 1.0

    def wanted(self) -> list[Path]:
        """The branchings to observe next, likeliest first; empty when too little mass is left to matter."""
        by_mass = sorted(self._open.items(), key=lambda item: (-item[1], item[0]))
        unexplored = math.fsum(mass for _, mass in by_mass)
        wanted: list[Path] = []
        for path, mass in by_mass:
            if unexplored < self._limit:
                break
            wanted.append(path)
            unexplored -= mass
        return wanted

    def observe(self, path: Path, logits: Sequence[float]) -> None:
        """Take the logits of ``trie.branchings[path].tokens``, in that order.

        Raises ``ValueError`` for a logit that is not finite: such an answer must not be stored.
        """
        branching = self._trie.branchings[path]
        mass = self._open.pop(path)
        for share, members, next_path in zip(softmax(logits), branching.members, branching.next_paths, strict=True):
            if next_path is None:
                self._probabilities[members[0]] = mass * share
            else:
                self._open[next_path] = mass * share

    def observe_label_mass(self, mass: float) -> None:
        """Take the unconstrained probability of all valid first tokens."""
        self._label_mass = min(1.0, max(0.0, mass))

    def answer(self) -> Answer:
        """The labels' probabilities; mass of branches not followed is shared evenly by the labels below them."""
        probabilities = list(self._probabilities)
        for path, mass in self._open.items():
            members = [member for group in self._trie.branchings[path].members for member in group]
            for member in members:
                probabilities[member] += mass / len(members)
        total = math.fsum(probabilities)
        return Answer(tuple(p / total for p in probabilities), self._label_mass)


def softmax(logits: Sequence[float]) -> list[float]:
    """Softmax in double precision. Raises ``ValueError`` when a logit is NaN or infinite."""
    if not all(map(math.isfinite, logits)):
        raise ValueError("the model gave a logit that is not a number")
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
