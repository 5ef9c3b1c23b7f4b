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
    task_prompt: TaskPrompt
    windows: Windows
    scores: dict[int, Scores] = field(default_factory=dict)  # window -> its scores


@dataclass(frozen=True, slots=True)
class Answered:
    """What the engine said of one document."""

    verdicts: list[Verdict]  # one for each question
    prompt_tokens: int  # of all its windows, prefixes included
    cached_tokens: int  # those of them that the engine had computed before


class Answering:
    """Asks the engine, and counts the tokens that it computed and those it took from the shared prefix."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._request_ids = itertools.count()
        self.computed_tokens = 0
        self.cached_tokens = 0

    def ask(self, documents: Sequence[tuple[K, TaskPrompt, Windows]]) -> Iterator[tuple[K, Answered | Failure]]:
        """For each document, given as its key, its prompt and its windows, what the engine says; as they complete.

        Raises:
            EngineError: the engine as a whole cannot go on.
        """
        places: dict[int, tuple[_Asked[K], int]] = {}
        requests: list[Request] = []
        for entry in (_Asked(*document) for document in documents):
            for window, tokens in enumerate(entry.windows):
                request_id = next(self._request_ids)
                places[request_id] = (entry, window)
                prompt = entry.task_prompt.prompt
                requests.append(Request(request_id=request_id, prompt=prompt, document_tokens=tokens))
        for scores in self._engine.score(requests) if requests else ():
            entry, window = places.pop(scores.request_id)
            self.computed_tokens += scores.computed_tokens
            self.cached_tokens += scores.cached_tokens
            entry.scores[window] = scores
            if len(entry.scores) == len(entry.windows):
                yield entry.key, _outcome(entry)
        for entry in {id(entry): entry for entry, _ in places.values()}.values():
            yield entry.key, Failure(status="engine_error", reason="the engine gave no answer for this document")


def _outcome(entry: _Asked[K]) -> Answered | Failure:
    scores = [entry.scores[window] for window in sorted(entry.scores)]
    failure = next((s.failure for s in scores if s.failure is not None), None)
    if failure is not None:
        return failure
    window_tokens = [max(1, len(window)) for window in entry.windows]
    of_questions = zip(*(s.answers for s in scores), strict=True)
    cached_tokens = sum(s.cached_tokens for s in scores)
    try:
        answers = [join_windows(of_windows, window_tokens) for of_windows in of_questions]
    except ValueError as error:
        return Failure(status="engine_error", reason=f"{error}; use --long head-tail")
    return Answered(
        entry.task_prompt.verdicts(answers),
        prompt_tokens=cached_tokens + sum(s.computed_tokens for s in scores),
        cached_tokens=cached_tokens,
    )


def answered_status(verdict: Verdict, truncated_tokens: int) -> Status:
    """The status of a row that has this verdict, on a document that lost so many tokens."""
    if verdict.abstained:
        return "abstained"
    return "truncated" if truncated_tokens else "ok"
