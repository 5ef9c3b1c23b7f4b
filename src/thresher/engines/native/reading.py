"""One request on its way: what of its answer tries is read in a pass, and what the logits found say.

Keys, values and states of a layer are gone when the next layer is at work, so nothing can be appended to a document
after its pass: whatever is to be asked must be in the pass, or the document is read again. The first pass holds each
question's first branching and then, nearest first, as many deeper ones as cost no more tokens than reading the
document once more would (:data:`LEAST_BRANCH_TOKENS` for short documents). For a handful of multi-token labels, for
yes and no, for integers, that is the whole trie. Where more is wanted than was in the pass, the document is read again
with just the branchings that the walk asks for, which are few: only those with mass left to explore. Either way the
walk sees what it would have seen one branching at a time, and the answer does not depend on what shares the pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from thresher.answers import AnswerTrie, AnswerWalk, Path
from thresher.engines.native.pack import HELD, Place, Tree
from thresher.types import Prompt, QuestionPrompt, Request

#: Tokens of branches that a first pass may hold, however short the document.
LEAST_BRANCH_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Found:
    """What a pass found at its outputs. ``columns`` of ``logits`` are tokens."""

    logits: npt.NDArray[np.float64]  # [outputs, answer tokens]
    logsumexps: npt.NDArray[np.float64]  # [outputs]: over the whole vocabulary; NaN where it was not asked for
    columns: Mapping[int, int]


@dataclass(slots=True)
class _Asked:
    """One question of one request."""

    question: QuestionPrompt
    walk: AnswerWalk
    mass_place: Place | None = None
    places: dict[Path, Place] = field(default_factory=dict)  # branchings in the pass at hand


class Reading:
    """One request until all of its questions are answered."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.error: str | None = None
        self.computed_tokens = 0  # the prefix counted where it was read for this request
        self.prefix_computed = 0
        self._asked = [_Asked(question, AnswerWalk(question.trie)) for question in request.prompt.questions]
        self._passes = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be read."""
        return self.error is not None or (self._passes > 0 and not any(asked.walk.wanted() for asked in self._asked))

    def walks(self) -> tuple[AnswerWalk, ...]:
        """The questions' walks, in order."""
        return tuple(asked.walk for asked in self._asked)

    def tree(self) -> Tree:
        """What the next pass has to read."""
        tree = Tree(len(self.request.prompt.prefix_tokens))
        open_questions = [asked for asked in self._asked if not self._passes or asked.walk.wanted()]
        document = list(self.request.document_tokens)
        base, skipped = HELD, 0
        if len(open_questions) > 1:
            shared = _common_start([asked.question.suffix_tokens for asked in open_questions])
            base, skipped, document = tree.append(HELD, [*document, *shared]), len(shared), []
        allowance = max(LEAST_BRANCH_TOKENS, len(self.request.document_tokens)) // len(open_questions)
        for asked in open_questions:
            trie = asked.question.trie
            root = trie.root_path or ()
            end = tree.append(base, [*document, *asked.question.suffix_tokens[skipped:], *root])
            wanted = asked.walk.wanted() if self._passes else _first_paths(trie, allowance)
            asked.mass_place = None if self._passes else tree.want(end, len(root))
            asked.places = _append_branches(tree, end, root, wanted)
        return tree

    def mass_places(self) -> list[Place]:
        """Where the logsumexp over the whole vocabulary is needed."""
        return [asked.mass_place for asked in self._asked if asked.mass_place is not None]

    def feed(self, found: Found, ranks: Mapping[Place, int]) -> None:
        """Take what the pass over :meth:`tree` found; ``ranks`` are the places' outputs."""
        self._passes += 1
        try:
            for asked in self._asked:
                if asked.mass_place is not None:
                    asked.walk.observe_label_mass(_mass(found, ranks[asked.mass_place], asked.question.trie))
                asked.mass_place = None
                _descend(asked, found, ranks)
        except ValueError as error:
            self.error = str(error)


def answer_tokens(prompt: Prompt) -> list[int]:
    """Every token whose logit some answer of ``prompt`` may need, each once."""
    tokens: set[int] = set()
    for question in prompt.questions:
        tokens.update(question.trie.first_tokens)
        for branching in question.trie.branchings.values():
            tokens.update(branching.tokens)
    return sorted(tokens)


def _common_start(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The tokens that all of ``sequences`` begin with."""
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*sequences, strict=False))
    return [tokens[0] for tokens in alike]


def _first_paths(trie: AnswerTrie, allowance: int) -> list[Path]:
    """The first branching, and deeper ones, nearest first, of up to ``allowance`` tokens in all."""
    parents = {path: b.path for b in trie.branchings.values() for path in b.next_paths if path is not None}
    paths: list[Path] = []
    spent = 0
    for path in sorted(trie.branchings, key=lambda path: (len(path), path)):
        if path in parents:
            spent += len(path) - len(parents[path])
            if spent > allowance:
                break
        paths.append(path)
    return paths


def _append_branches(tree: Tree, end: int, root: Path, wanted: Sequence[Path]) -> dict[Path, Place]:
    """Each of ``wanted`` behind the longest one that it goes on from."""
    segments: dict[Path, int] = {root: end}
    places: dict[Path, Place] = {}
    for path in sorted(wanted, key=len):
        start = next(path[:n] for n in range(len(path), len(root) - 1, -1) if path[:n] in segments)
        segments[path] = tree.append(segments[start], path[len(start) :])
        places[path] = tree.want(segments[path])
    return places


def _descend(asked: _Asked, found: Found, ranks: Mapping[Place, int]) -> None:
    """Show the walk what it asks for, as far as it was in the pass."""
    branchings = asked.question.trie.branchings
    while known := [path for path in asked.walk.wanted() if path in asked.places]:
        for path in known:
            columns = [found.columns[token] for token in branchings[path].tokens]
            asked.walk.observe(path, found.logits[ranks[asked.places[path]], columns].tolist())
    asked.places = {}


def _mass(found: Found, rank: int, trie: AnswerTrie) -> float:
    """Probability of the first tokens under the softmax over the whole vocabulary."""
    logits = found.logits[rank, [found.columns[token] for token in trie.first_tokens]]
    mass = float(np.exp(logits - found.logsumexps[rank]).sum())
    if not np.isfinite(mass):
        raise ValueError("the model gave logits that are not numbers")
    return mass
