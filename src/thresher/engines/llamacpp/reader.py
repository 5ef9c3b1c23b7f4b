"""Reads packs of documents behind one shared prefix and takes the answers off the logits.

Sequence 0 holds the prefix for as long as the prompt stays the same; the other sequences are forks of it. Nothing
is ever cut off a sequence, because recurrent state cannot go back: what is continued more than once is forked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt

from thresher.answers import Answer, AnswerWalk, Path
from thresher.engines.llamacpp.context import Context, Logits, Piece
from thresher.engines.llamacpp.planner import plan_chunks
from thresher.types import Prompt, QuestionPrompt

Tokens = npt.NDArray[np.int32]
PREFIX_SEQUENCE = 0


@dataclass(slots=True)
class Reading:
    """What became of one document: an answer per question, or an error."""

    answers: list[Answer] = field(default_factory=list)
    error: str | None = None
    decoded_tokens: int = 0  # padding not counted


@dataclass(slots=True)
class Tail:
    """Tokens to append to ``sequence``, which is ``start`` tokens long, and the offsets whose logits are wanted."""

    sequence: int
    start: int
    tokens: Tokens
    outputs: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """Length of the sequence after this."""
        return self.start + len(self.tokens)


@dataclass(slots=True)
class Asked:
    """One question put to one document, whose sequence ends where the first branching of the answers is."""

    reading: Reading
    walk: AnswerWalk
    sequence: int
    end: int


class Reader:
    """Decodes with one :class:`Context`. After an exception it must be ``reset``."""

    def __init__(self, context: Context, *, keeps_state: bool) -> None:
        self._context = context
        self._keeps_state = keeps_state
        self._forget()

    def _forget(self, *, overwrite: bool = False) -> None:
        self._context.clear(overwrite=overwrite)
        self._prompt: Prompt | None = None
        self._free = list(range(self._context.shape.sequences - 1, PREFIX_SEQUENCE, -1))

    def reset(self) -> None:
        """Forget everything, also the prefix, and leave no trace of it in the memory."""
        self._forget(overwrite=True)

    def hold_prefix(self, prompt: Prompt) -> int:
        """Make sequence 0 the prefix of ``prompt``. Returns the tokens decoded: 0 when it was there already."""
        if self._prompt is prompt:
            return 0
        self._forget()
        tokens = np.array(prompt.prefix_tokens, dtype=np.int32)
        self._append([Tail(PREFIX_SEQUENCE, 0, tokens)])
        self._prompt = prompt
        return len(tokens)

    def read(self, prompt: Prompt, documents: Sequence[Sequence[int]]) -> list[Reading]:
        """Put every question of ``prompt``, whose prefix must be held, to each of ``documents``.

        Raises ``DecodeError``. Logits that are not numbers become the error of the reading they belong to.
        """
        readings = [Reading() for _ in documents]
        texts = [np.array(document, dtype=np.int32) for document in documents]
        start = len(prompt.prefix_tokens)
        sequences = self._fork([PREFIX_SEQUENCE] * len(texts))
        if len(prompt.questions) == 1:
            leads = [Tail(sequence, start, text) for sequence, text in zip(sequences, texts, strict=True)]
            self._ask(prompt.questions[0], readings, leads)
        else:
            self._read_many(prompt.questions, readings, sequences, start, texts)
        self._drop(sequences)
        return readings

    def _read_many(
        self,
        questions: Iterable[QuestionPrompt],
        readings: Sequence[Reading],
        sequences: Sequence[int],
        start: int,
        texts: Sequence[Tokens],
    ) -> None:
        """Read the documents once, then ask each question of forks of them."""
        documents = [Tail(sequence, start, text) for sequence, text in zip(sequences, texts, strict=True)]
        self._append(documents)
        for reading, document in zip(readings, documents, strict=True):
            reading.decoded_tokens += len(document.tokens)
        nothing = np.empty(0, dtype=np.int32)
        for question in questions:
            forks = self._fork(sequences)
            leads = [Tail(fork, document.end, nothing) for fork, document in zip(forks, documents, strict=True)]
            self._ask(question, readings, leads)
            self._drop(forks)

    def _ask(self, question: QuestionPrompt, readings: Sequence[Reading], leads: Sequence[Tail]) -> None:
        """Append each lead, the question's suffix and the start all answers share; then follow the trie."""
        trie = question.trie
        root = trie.root_path or ()
        ending = np.array([*question.suffix_tokens, *root], dtype=np.int32)
        tails: list[Tail] = []
        for lead in leads:
            tokens = np.concatenate([lead.tokens, ending])
            last = len(tokens) - 1
            tails.append(Tail(lead.sequence, lead.start, tokens, tuple(sorted({last - len(root), last}))))
        decided_at_root = len(trie.branchings) <= 1
        rows = self._append(tails, may_pad=decided_at_root)
        asked = [
            Asked(reading, AnswerWalk(trie), tail.sequence, tail.end)
            for reading, tail in zip(readings, tails, strict=True)
        ]
        for one, tail, logits in zip(asked, tails, rows, strict=True):
            one.reading.decoded_tokens += len(tail.tokens)
            _observe_root(one, question, logits)
        self._follow(question, asked)
        for one in asked:
            if one.reading.error is None:
                one.reading.answers.append(one.walk.answer())

    def _follow(self, question: QuestionPrompt, asked: Sequence[Asked]) -> None:
        """Look at deeper branchings for as long as a walk wants one."""
        skip = len(question.trie.root_path or ())
        while wanted := [(one, path) for one in asked if one.reading.error is None for path in one.walk.wanted()]:
            for group in self._group(wanted):
                forks = self._fork([one.sequence for one, _ in group])
                tails = [
                    Tail(fork, one.end, np.array(path[skip:], dtype=np.int32), (len(path) - skip - 1,))
                    for fork, (one, path) in zip(forks, group, strict=True)
                ]
                for (one, path), logits in zip(group, self._append(tails), strict=True):
                    one.reading.decoded_tokens += len(path) - skip
                    _observe(one, question, path, logits[-1])
                self._drop(forks)

    def _group(self, wanted: list[tuple[Asked, Path]]) -> Iterator[list[tuple[Asked, Path]]]:
        """Paths of one length, as many as there are free sequences."""
        size = len(self._free)
        for _, same in groupby(sorted(wanted, key=lambda item: len(item[1])), key=lambda item: len(item[1])):
            members = list(same)
            yield from (members[first : first + size] for first in range(0, len(members), size))

    def _append(self, tails: Sequence[Tail], *, may_pad: bool = False) -> list[Logits]:
        """Decode ``tails``; per tail the wanted rows, float32 [rows, vocabulary].

        ``may_pad``: the sequences may get more tokens than asked, behind all that count.
        """
        pad = may_pad and self._keeps_state
        rows: list[list[Logits]] = [[] for _ in tails]
        longest = max(len(tail.tokens) for tail in tails)
        for chunk in plan_chunks(longest, len(tails), self._context.shape.micro_batch):
            pieces = {index: _piece(tail, chunk, pad=pad) for index, tail in enumerate(tails)}
            pieces = {index: piece for index, piece in pieces.items() if len(piece.tokens)}
            logits = iter(self._context.decode(list(pieces.values())))
            for index, piece in pieces.items():
                rows[index].extend(next(logits) for _ in piece.outputs)
        return [np.stack(found) if found else np.empty((0, 0), dtype=np.float32) for found in rows]

    def _fork(self, sources: Sequence[int]) -> list[int]:
        forks = [self._free.pop() for _ in sources]
        for source, fork in zip(sources, forks, strict=True):
            self._context.fork(source, fork)
        return forks

    def _drop(self, sequences: Sequence[int]) -> None:
        for sequence in reversed(sequences):
            self._context.drop(sequence)
            self._free.append(sequence)


def _piece(tail: Tail, chunk: range, *, pad: bool) -> Piece:
    tokens = tail.tokens[chunk.start : chunk.stop]
    if pad and len(tokens) < len(chunk):
        tokens = np.concatenate([tokens, np.full(len(chunk) - len(tokens), tail.tokens[-1], dtype=np.int32)])
    outputs = tuple(offset - chunk.start for offset in tail.outputs if offset in chunk)
    return Piece(tail.sequence, tail.start + chunk.start, tokens, outputs)


def _observe_root(asked: Asked, question: QuestionPrompt, logits: Logits) -> None:
    """``logits``: at the end of the suffix, and at the first branching if that is elsewhere."""
    mass = _mass(logits[0], question.trie.first_tokens)
    if np.isfinite(mass):
        asked.walk.observe_label_mass(mass)
    else:
        asked.reading.error = "the model gave logits that are not numbers"
    if question.trie.root_path is not None:
        _observe(asked, question, question.trie.root_path, logits[-1])


def _observe(asked: Asked, question: QuestionPrompt, path: Path, row: npt.NDArray[np.float32]) -> None:
    try:
        asked.walk.observe(path, row[list(question.trie.branchings[path].tokens)].tolist())
    except ValueError as error:
        asked.reading.error = str(error)


def _mass(row: npt.NDArray[np.float32], tokens: tuple[int, ...]) -> float:
    """Probability of ``tokens`` under the softmax over the whole ``row``, in double precision."""
    weights = np.exp(row.astype(np.float64) - float(row.max()))
    return float(weights[list(tokens)].sum() / weights.sum())
