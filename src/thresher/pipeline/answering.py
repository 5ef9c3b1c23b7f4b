"""Documents that fit the context -> the engine -> verdicts: what a job and a list of texts have in common."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from thresher.engines import Engine
from thresher.pipeline.admission import join_windows
from thresher.tasks import TaskPrompt, Verdict
from thresher.types import Failure, Request, Scores, Status

K = TypeVar("K")
Windows = Sequence[Sequence[int]]


@dataclass(slots=True, eq=False)
class _Asked(Generic[K]):
    """A document with windows at the engine."""

    key: K
    windows: Windows
    scores: dict[int, Scores] = field(default_factory=dict)  # window -> its scores


class Answering:
    """Asks the engine, and counts the tokens that it computed and those it took from the shared prefix."""

    def __init__(self, engine: Engine, task_prompt: TaskPrompt) -> None:
        self._engine = engine
        self._task_prompt = task_prompt
        self._request_ids = itertools.count()
        self.computed_tokens = 0
        self.cached_tokens = 0

    def ask(self, documents: Sequence[tuple[K, Windows]]) -> Iterator[tuple[K, list[Verdict] | Failure]]:
        """For each document, given as its key and its windows, the verdict on each question; as they complete.

        Raises:
            EngineError: the engine as a whole cannot go on.
        """
        places: dict[int, tuple[_Asked[K], int]] = {}
        requests: list[Request] = []
        for entry in (_Asked(key, windows) for key, windows in documents):
            for window, tokens in enumerate(entry.windows):
                request_id = next(self._request_ids)
                places[request_id] = (entry, window)
                requests.append(Request(request_id=request_id, prompt=self._task_prompt.prompt, document_tokens=tokens))
        for scores in self._engine.score(requests) if requests else ():
            entry, window = places.pop(scores.request_id)
            self.computed_tokens += scores.computed_tokens
            self.cached_tokens += scores.cached_tokens
            entry.scores[window] = scores
            if len(entry.scores) == len(entry.windows):
                yield entry.key, self._outcome(entry)
        for entry in {id(entry): entry for entry, _ in places.values()}.values():
            yield entry.key, Failure(status="engine_error", reason="the engine gave no answer for this document")

    def _outcome(self, entry: _Asked[K]) -> list[Verdict] | Failure:
        scores = [entry.scores[window] for window in sorted(entry.scores)]
        failure = next((s.failure for s in scores if s.failure is not None), None)
        if failure is not None:
            return failure
        window_tokens = [max(1, len(window)) for window in entry.windows]
        of_questions = zip(*(s.answers for s in scores), strict=True)
        return self._task_prompt.verdicts([join_windows(of_windows, window_tokens) for of_windows in of_questions])


def answered_status(verdict: Verdict, truncated_tokens: int) -> Status:
    """The status of a row that has this verdict, on a document that lost so many tokens."""
    if verdict.abstained:
        return "abstained"
    return "truncated" if truncated_tokens else "ok"
