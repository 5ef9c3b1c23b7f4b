"""Puts packs through a model and hands every reading what was found for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from thresher.engines.native.forward import ForwardPass, HeldPrefix
from thresher.engines.native.head import AnswerRows, Head
from thresher.engines.native.pack import HELD, Place, Tree, lay_out
from thresher.engines.native.reading import Found, Reading, answer_tokens
from thresher.engines.native.sizing import Sizes
from thresher.types import Prompt


class Reader:
    """Holds one prompt's prefix and reads packs behind it."""

    def __init__(self, forward: ForwardPass, head: Head, sizes: Sizes) -> None:
        self._forward = forward
        self._head = head
        self._sizes = sizes
        self._prompt: Prompt | None = None
        self._held: HeldPrefix | None = None
        self._answers: AnswerRows | None = None

    def hold_prefix(self, prompt: Prompt) -> int:
        """Read the prefix of ``prompt`` and keep it. Returns the tokens computed: 0 when it was held already."""
        if self._prompt is prompt:
            return 0
        self.forget()
        self._answers = self._head.answer_rows(answer_tokens(prompt))
        if prompt.prefix_tokens:
            tree = Tree(0)
            tree.keep(tree.append(HELD, prompt.prefix_tokens))
            pack, _ = lay_out([tree], self._sizes.step_rows, self._sizes.step_spans)
            self._held = self._forward.hold(pack)
        self._prompt = prompt
        return len(prompt.prefix_tokens)

    def forget(self) -> None:
        """Let go of the prefix."""
        self._prompt, self._held, self._answers = None, None, None

    @torch.inference_mode()
    def read(self, readings: Sequence[Reading], trees: Sequence[Tree]) -> None:
        """Read ``trees``, one of each reading, behind the prefix held, and feed the readings."""
        assert self._answers is not None, "the prefix is held first"
        pack, ranks = lay_out(trees, self._sizes.step_rows, self._sizes.step_spans)
        normed = self._head.norm(self._forward.run(pack, self._held))
        logits = self._head.logits(normed, self._answers).double().cpu().numpy()
        sums = np.full(len(normed), np.nan)
        places = _mass_ranks(readings, ranks)
        sums[places] = self._head.logsumexp(normed[places]).cpu().numpy()
        found = Found(logits, sums, self._answers.columns)
        for reading, tree, own in zip(readings, trees, ranks, strict=True):
            reading.computed_tokens += tree.rows
            reading.feed(found, own)


def _mass_ranks(readings: Sequence[Reading], ranks: Sequence[dict[Place, int]]) -> list[int]:
    return [own[place] for reading, own in zip(readings, ranks, strict=True) for place in reading.mass_places()]
