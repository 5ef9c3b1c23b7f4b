"""Puts packs through a model and hands every reading what was found for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thresher.engines.native.forward import HeldPrefix
from thresher.engines.native.head import AnswerRows, Head
from thresher.engines.native.pack import HELD, Place, Tree, lay_out
from thresher.engines.native.pipeline import Pipeline, Sent
from thresher.engines.native.reading import Found, Reading, answer_tokens
from thresher.engines.native.sizing import Sizes
from thresher.engines.native.transfer import to_device, to_host
from thresher.types import Prompt


@dataclass(slots=True)
class _Held:
    """What is kept from pack to pack of one prompt."""

    prompt: Prompt
    prefix: HeldPrefix | None  # None: the prompt has no prefix
    sent: Sent[None] | None  # the prefix on its way
    uncounted_tokens: int  # of the prefix, until the first pack behind it has been read
    answers: AnswerRows | None = None  # loaded by whoever has the head, for the first pack


class Flight:
    """One pack on its way through the model."""

    def __init__(
        self,
        reader: Reader,
        held: _Held,
        sent: Sent[Callable[[], Found]],
        readings: Sequence[tuple[Reading, int, dict[Place, int]]],  # with the rows of each one's tree, and its outputs
    ) -> None:
        self._reader = reader
        self._held = held
        self._sent = sent
        self._readings = readings

    def land(self) -> int:
        """Wait for the pack and feed its readings.

        Returns the tokens of the prefix that were computed for it: 0 when it was held already. Raises what went wrong
        on any device.
        """
        if self._held.sent is not None:
            self._wait_for_prefix(self._held.sent)
        found = self._sent.result()()
        for reading, rows, ranks in self._readings:
            reading.computed_tokens += rows
            reading.feed(found, ranks)
        computed, self._held.uncounted_tokens = self._held.uncounted_tokens, 0
        return computed

    def abandon(self) -> None:
        """Nobody waits for it any more."""
        self._sent.abandon()

    def _wait_for_prefix(self, sent: Sent[None]) -> None:
        try:
            sent.result()
        except BaseException:
            self._reader.forget()
            raise
        self._held.sent = None  # it has the prefix's residual stream


class Reader:
    """Holds one prompt's prefix and reads packs behind it."""

    def __init__(self, pipeline: Pipeline, head: Head, sizes: Sizes) -> None:
        self._pipeline = pipeline
        self._head = head
        self._sizes = sizes
        self._held: _Held | None = None

    @property
    def packs_in_flight(self) -> int:
        """How many packs to send before the first is waited for."""
        return self._pipeline.packs_in_flight

    def send(self, prompt: Prompt, readings: Sequence[Reading], trees: Sequence[Tree]) -> Flight:
        """Begin to read ``trees``, one of each reading, behind the prefix of ``prompt``.

        All flights behind one prompt must have landed or been abandoned before another prompt's turn.
        """
        held = self._held
        if held is None or held.prompt is not prompt:
            self._held = None  # before the next one is made: both need memory
            held = self._held = self._hold(prompt)
        pack, ranks = lay_out(trees, self._sizes.step_rows, self._sizes.step_spans)
        mass_ranks = _mass_ranks(readings, ranks)
        sent = self._pipeline.run(pack, held.prefix, lambda hidden: self._find(hidden, held, mass_ranks))
        rows = [tree.rows for tree in trees]
        return Flight(self, held, sent, list(zip(readings, rows, ranks, strict=True)))

    def forget(self) -> None:
        """Hold no prefix; the next pack's is computed."""
        self._held = None

    def _hold(self, prompt: Prompt) -> _Held:
        if not prompt.prefix_tokens:
            return _Held(prompt, None, None, 0)
        tree = Tree(0)
        tree.keep(tree.append(HELD, prompt.prefix_tokens))
        pack, _ = lay_out([tree], self._sizes.step_rows, self._sizes.step_spans)
        return _Held(prompt, *self._pipeline.hold(pack), len(prompt.prefix_tokens))

    @torch.inference_mode()
    def _find(self, hidden: torch.Tensor, held: _Held, mass_ranks: list[int]) -> Callable[[], Found]:
        """What is wanted of the outputs' residual stream; on the thread of the last device, which does not wait."""
        if held.answers is None:
            held.answers = self._head.answer_rows(answer_tokens(held.prompt))
        normed = self._head.norm(hidden)
        logits = to_host(self._head.logits(normed, held.answers).double())
        with_mass = normed[to_device(np.array(mass_ranks, dtype=np.int64), normed.device)]
        masses = to_host(self._head.logsumexp(with_mass))
        columns = held.answers.columns

        def wait() -> Found:
            sums = np.full(len(normed), np.nan)
            sums[mass_ranks] = masses()
            return Found(logits(), sums, columns)

        return wait


def _mass_ranks(readings: Sequence[Reading], ranks: Sequence[dict[Place, int]]) -> list[int]:
    return [own[place] for reading, own in zip(readings, ranks, strict=True) for place in reading.mass_places()]
