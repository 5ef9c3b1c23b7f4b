"""Reads packs of documents behind one shared prefix and puts the questions to them.

Sequence 0 holds the prefix for as long as the prompt stays the same; documents are forks of it, and where there are
several questions, they are asked of forks of the documents.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thresher.engines.llamacpp.context import Context
from thresher.engines.llamacpp.layout import Layout
from thresher.engines.llamacpp.planner import Forks
from thresher.engines.llamacpp.questions import Asked, Reading, answer
from thresher.engines.llamacpp.sequences import PREFIX_SEQUENCE, Sequences, Tail, Tokens
from thresher.types import Prompt


class Reader:
    """Decodes with one :class:`Context`. After an exception it must be ``reset``."""

    def __init__(self, context: Context, *, keeps_state: bool) -> None:
        self._sequences = Sequences(context, keeps_state=keeps_state)
        self._prompt: Prompt | None = None

    def reset(self) -> None:
        """Forget everything, also the prefix, and leave no trace of it in the memory."""
        self._prompt = None
        self._sequences.clear(overwrite=True)

    def hold_prefix(self, prompt: Prompt) -> int:
        """Make sequence 0 the prefix of ``prompt``. Returns the tokens decoded: 0 when it was there already."""
        if self._prompt is prompt:
            return 0
        self._prompt = None
        self._sequences.clear()
        if prompt.prefix_tokens:
            self._sequences.append([Tail(PREFIX_SEQUENCE, 0, np.array(prompt.prefix_tokens, dtype=np.int32))])
        self._prompt = prompt
        return len(prompt.prefix_tokens)

    def read(self, layout: Layout, documents: Sequence[Sequence[int]], forks: Forks) -> list[Reading]:
        """Put every question of the prompt whose prefix is held to each of ``documents``.

        Raises ``DecodeError``. Logits that are not numbers become the error of the reading they belong to.
        """
        readings = [Reading() for _ in documents]
        texts = [np.array(document, dtype=np.int32) for document in documents]
        sequences = self._sequences.fork([PREFIX_SEQUENCE] * len(texts))
        if layout.questions:
            self._ask_forks(layout, forks, readings, sequences, texts)
        else:
            start = len(layout.prompt.prefix_tokens)
            (question,), (ending,) = layout.prompt.questions, layout.endings
            asked = [
                Asked(question, reading, Tail(sequence, start, _join(text, ending)))
                for reading, sequence, text in zip(readings, sequences, texts, strict=True)
            ]
            answer(self._sequences, asked, forks.branches)
        self._sequences.drop(sequences)
        return readings

    def _ask_forks(
        self,
        layout: Layout,
        forks: Forks,
        readings: Sequence[Reading],
        sequences: Sequence[int],
        texts: Sequence[Tokens],
    ) -> None:
        """Read the documents once, then put all questions to forks of them, as many at a time as there may be."""
        start = len(layout.prompt.prefix_tokens)
        leads = [
            Tail(sequence, start, _join(text, layout.endings[0])[: len(text) + layout.shared])
            for sequence, text in zip(sequences, texts, strict=True)
        ]
        self._sequences.append(leads)
        for reading, lead in zip(readings, leads, strict=True):
            reading.decoded_tokens += len(lead.tokens)
        pairs = [(document, question) for document in range(len(texts)) for question in range(layout.questions)]
        for first in range(0, len(pairs), forks.questions):
            group = pairs[first : first + forks.questions]
            forked = self._sequences.fork(sequences[document] for document, _ in group)
            asked = []
            for (document, question), fork in zip(group, forked, strict=True):
                rest = _join(texts[document], layout.endings[question])[len(leads[document].tokens) :]
                tail = Tail(fork, leads[document].end, rest)
                asked.append(Asked(layout.prompt.questions[question], readings[document], tail))
            answer(self._sequences, asked, forks.branches)
            self._sequences.drop(forked)


def _join(text: Tokens, ending: tuple[int, ...]) -> Tokens:
    return np.concatenate([text, np.array(ending, dtype=np.int32)])
