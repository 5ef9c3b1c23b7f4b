"""Puts packs through a model and hands every reading what was found for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thresher.engines.native.forward import ForwardPass, HeldPrefix
from thresher.engines.native.head import AnswerRows, Head
from thresher.engines.native.pack import HELD, Place, Tree, lay_out
from thresher.engines.native.reading import Found, Reading, answer_tokens
from thresher.engines.native.sizing import Sizes
from thresher.types import Prompt


@dataclass(frozen=True, slots=True)
class _Held:
    """What is kept from pack to pack of one prompt."""

    prompt: Prompt
    prefix: HeldPrefix | None  # None: the prompt has no prefix
    answers: AnswerRows


class Reader:
    """Holds one prompt's prefix and reads packs behind it."""

    def __init__(self, forward: ForwardPass, head: Head, sizes: Sizes) -> None:
        self._forward = forward
        self._head = head
        self._sizes = sizes
        self._held: _Held | None = None

    @torch.inference_mode()
    def read(self, prompt: Prompt, readings: Sequence[Reading], trees: Sequence[Tree]) -> int:
        """Read ``trees``, one of each reading, behind the prefix of ``prompt``, and feed the readings.

        Returns the tokens of the prefix that were computed for it: 0 when it was held already.
        """
        held = self._held
        prefix_computed = 0
        if held is None or held.prompt is not prompt:
            self._held = None  # before the next one is made: both need memory
            held = self._held = self._hold(prompt)
            prefix_computed = len(prompt.prefix_tokens)
        pack, ranks = lay_out(trees, self._sizes.step_rows, self._sizes.step_spans)
        normed = self._head.norm(self._forward.run(pack, held.prefix))
        logits = self._head.logits(normed, held.answers).double().cpu().numpy()
        sums = np.full(len(normed), np.nan)
        places = _mass_ranks(readings, ranks)
        sums[places] = self._head.logsumexp(normed[places]).cpu().numpy()
        found = Found(logits, sums, held.answers.columns)
        for reading, tree, own in zip(readings, trees, ranks, strict=True):
            reading.computed_tokens += tree.rows
            reading.feed(found, own)
        return prefix_computed

    def _hold(self, prompt: Prompt) -> _Held:
        answers = self._head.answer_rows(answer_tokens(prompt))
        if not prompt.prefix_tokens:
            return _Held(prompt, None, answers)
        tree = Tree(0)
        tree.keep(tree.append(HELD, prompt.prefix_tokens))
        pack, _ = lay_out([tree], self._sizes.step_rows, self._sizes.step_spans)
        return _Held(prompt, self._forward.hold(pack), answers)


def _mass_ranks(readings: Sequence[Reading], ranks: Sequence[dict[Place, int]]) -> list[int]:
    return [own[place] for reading, own in zip(readings, ranks, strict=True) for place in reading.mass_places()]
