"""Last stage: batches through the engine, answers to rows, rows to the store as they complete."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from thresher.engines import Engine
from thresher.jobs import Commit, JobStore, Result
from thresher.pipeline.admission import join_windows
from thresher.pipeline.committing import Committing
from thresher.pipeline.preparing import ContentsUnderWay, Prepared
from thresher.pipeline.queues import WeightedQueue
from thresher.tasks import TaskPrompt, Verdict
from thresher.types import Failure, Request, Scores, Status

#: How long a batch waits to fill up; an engine that waits longer costs more than a small batch.
_LINGER_S = 0.1
#: Within a batch, results are stored about this often.
_COMMIT_INTERVAL_S = 0.5


@dataclass(slots=True)
class ScoringCounts:
    """What this pass did so far."""

    documents: int = 0
    failed: int = 0
    computed_tokens: int = 0
    cached_tokens: int = 0


@dataclass(slots=True)
class _Pending:
    """A document with windows at the engine."""

    prepared: Prepared
    scores: dict[int, Scores] = field(default_factory=dict)  # window -> its scores


class Scoring:
    """Feeds the engine and stores what it says."""

    def __init__(
        self,
        source: WeightedQueue[Prepared],
        engine: Engine,
        questions: Sequence[str],
        store: JobStore,
        under_way: ContentsUnderWay,
        *,
        store_text: bool,
        should_stop: Callable[[], bool],
        on_commit: Callable[[ScoringCounts], None],
    ) -> None:
        self._source = source
        self._engine = engine
        self._questions = questions
        self._store = store
        self._under_way = under_way
        self._store_text = store_text
        self._should_stop = should_stop
        self._on_commit = on_commit
        self._request_ids = itertools.count()
        self.counts = ScoringCounts()

    def run(self) -> None:
        """Score until the source ends; told to stop, finish the batch in flight first."""
        info = self._engine.info
        with Committing(self._store) as committing:
            while batch := self._source.get(info.batch_requests, info.batch_tokens, _LINGER_S):
                if self._should_stop():
                    return
                self._run_batch(batch, committing)

    def _run_batch(self, batch: Sequence[Prepared], committing: Committing) -> None:
        done: list[tuple[Prepared, list[Result]]] = [
            (p, _stored_failure(p, self._questions)) for p in batch if not p.windows
        ]
        last_commit = time.monotonic()
        for prepared, results in self._scored([p for p in batch if p.windows]):
            done.append((prepared, results))
            if time.monotonic() - last_commit >= _COMMIT_INTERVAL_S:
                self._commit(done, committing)
                done = []
                last_commit = time.monotonic()
        self._commit(done, committing)
        # a crash may cost one batch of work and no more, so the next one waits until this one is on the disk
        committing.wait()

    def _scored(self, batch: Sequence[Prepared]) -> Iterator[tuple[Prepared, list[Result]]]:
        pending = [_Pending(prepared) for prepared in batch]
        places: dict[int, tuple[_Pending, int]] = {}
        requests: list[Request] = []
        for entry in pending:
            for window, tokens in enumerate(entry.prepared.windows):
                request_id = next(self._request_ids)
                places[request_id] = (entry, window)
                prompt = _task_prompt(entry.prepared).prompt
                requests.append(Request(request_id=request_id, prompt=prompt, document_tokens=tokens))
        for scores in self._engine.score(requests) if requests else ():
            entry, window = places.pop(scores.request_id)
            self.counts.computed_tokens += scores.computed_tokens
            self.counts.cached_tokens += scores.cached_tokens
            entry.scores[window] = scores
            if len(entry.scores) == len(entry.prepared.windows):
                yield entry.prepared, _results(entry, self._questions)
        for entry in {id(e): e for e, _ in places.values()}.values():
            failure = Failure(status="engine_error", reason="the engine gave no answer for this document")
            yield entry.prepared, _failed(entry.prepared, self._questions, failure)

    def _commit(self, done: Sequence[tuple[Prepared, list[Result]]], committing: Committing) -> None:
        if not done:
            return
        results = tuple(result for _, results in done for result in results)
        texts = [(p.read.content_sha256, p.text) for p, _ in done] if self._store_text else []
        commit = Commit(
            reads=tuple(prepared.read for prepared, _ in done),
            results=results,
            texts=tuple((key, text) for key, text in texts if key is not None and text is not None),
        )
        self.counts.documents += len(done)
        self.counts.failed += sum(_is_failure(prepared, results) for prepared, results in done)
        contents = [result.content_sha256 for result in results]
        committing.submit(commit, lambda: self._under_way.release(contents))
        self._on_commit(self.counts)


def _is_failure(prepared: Prepared, results: Sequence[Result]) -> bool:
    return prepared.read.unreadable_reason is not None or any(result.error is not None for result in results)


def _task_prompt(prepared: Prepared) -> TaskPrompt:
    assert prepared.place is not None, "windows always stand in a prompt"  # noqa: S101
    return prepared.place.task_prompt


def _stored_failure(prepared: Prepared, questions: Sequence[str]) -> list[Result]:
    return _failed(prepared, questions, prepared.failure) if prepared.failure else []


def _failed(prepared: Prepared, questions: Sequence[str], failure: Failure) -> list[Result]:
    return [
        Result(
            content_sha256=prepared.read.content_sha256 or "",
            question=question,
            status=failure.status,
            document_tokens=prepared.document_tokens,
            error=failure.reason,
        )
        for question in questions
    ]


def _results(entry: _Pending, questions: Sequence[str]) -> list[Result]:
    scores = [entry.scores[window] for window in sorted(entry.scores)]
    failure = next((s.failure for s in scores if s.failure is not None), None)
    if failure is not None:
        return _failed(entry.prepared, questions, failure)
    window_tokens = [max(1, len(window)) for window in entry.prepared.windows]
    of_questions = zip(*(s.answers for s in scores), strict=True)
    answers = [join_windows(of_windows, window_tokens) for of_windows in of_questions]
    verdicts = _task_prompt(entry.prepared).verdicts(answers)
    return [_result(entry.prepared, verdict, scores) for verdict in verdicts]


def _result(prepared: Prepared, verdict: Verdict, scores: Sequence[Scores]) -> Result:
    status: Status = "truncated" if prepared.truncated_tokens else "ok"
    cached_tokens = sum(s.cached_tokens for s in scores)
    return Result(
        content_sha256=prepared.read.content_sha256 or "",
        question=verdict.question,
        status="abstained" if verdict.abstained else status,
        label=verdict.label,
        probability=verdict.probability,
        probabilities=verdict.probabilities,
        label_mass=verdict.label_mass,
        expected=verdict.expected,
        document_tokens=prepared.document_tokens,
        truncated_tokens=prepared.truncated_tokens,
        prompt_tokens=cached_tokens + sum(s.computed_tokens for s in scores),
        cached_tokens=cached_tokens,
    )
