"""How a prompt is read: what goes with the document, and what is asked of forks of it. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from thresher.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Made once per prompt by :func:`lay_out`. Figures are tokens unless they say otherwise."""

    prompt: Prompt
    endings: tuple[tuple[int, ...], ...]  # per question: its suffix, and the start that all its answers share
    #: Of each ending this many are read with the document and never twice: all of a single question's, else the start
    #: that all endings share. -1 where a suffix is empty: its logits are those of the document's last token.
    shared: int
    longest_ending: int
    longest_rest: int  # of an ending, behind what is shared
    longest_branch: int  # from a trie's first branching to the end of an answer
    longest_way: int  # from what is shared to the end of an answer
    branchings: int  # of all questions, beside the first ones

    @property
    def questions(self) -> int:
        """Questions that are asked of forks."""
        return len(self.endings) if len(self.endings) > 1 else 0


def lay_out(prompt: Prompt) -> Layout:
    """The layout of ``prompt``, which has at least one question."""
    roots = [question.trie.root_path or () for question in prompt.questions]
    endings = tuple((*q.suffix_tokens, *root) for q, root in zip(prompt.questions, roots, strict=True))
    longest = max(map(len, endings))
    shared = longest
    if len(endings) > 1:  # a fork must have a token of its own, up to the one whose logits are wanted
        common = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(min(endings), max(endings), strict=False))
        )
        shared = min(common, *(len(q.suffix_tokens) - 1 for q in prompt.questions))
    return Layout(
        prompt=prompt,
        endings=endings,
        shared=shared,
        longest_ending=longest,
        longest_rest=longest - shared,
        longest_branch=max(
            q.trie.longest_answer_tokens - len(root) for q, root in zip(prompt.questions, roots, strict=True)
        ),
        longest_way=max(len(q.suffix_tokens) + q.trie.longest_answer_tokens for q in prompt.questions) - shared,
        branchings=sum(max(0, len(question.trie.branchings) - 1) for question in prompt.questions),
    )
