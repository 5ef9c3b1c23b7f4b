"""Last stage: batches through the engine, answers to rows, rows to the store as they complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from thresher.engines import Engine, EngineInfo
from thresher.jobs import Commit, JobStore, Result
from thresher.pipeline.answering import Answered, Answering, answered_status
from thresher.pipeline.committing import Committing
from thresher.pipeline.preparing import ContentsUnderWay, Prepared
from thresher.pipeline.queues import WeightedQueue
from thresher.pipeline.stage_times import StageTimes
from thresher.tasks import TaskPrompt, Verdict
from thresher.types import Failure

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


class Scoring:
    """Feeds the engine and stores what it says."""

    def __init__(
        self,
        source: WeightedQueue[Prepared],
        engine: Engine,
        questions: Sequence[str],
        store: JobStore,
        under_way: ContentsUnderWay,
        times: StageTimes,
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
        self._times = times
        self._store_text = store_text
        self._should_stop = should_stop
        self._on_commit = on_commit
        self._answering = Answering(engine)
        self.counts = ScoringCounts()
        self._committed = ScoringCounts()

    def run(self) -> None:
        """Score until the source ends; told to stop, finish the batch in flight first."""
        info = self._engine.info
        with Committing(self._store, self._times) as committing:
            while batch := self._next_batch(info):
                if self._should_stop():
                    return
                self._run_batch(batch, committing)

    def _next_batch(self, info: EngineInfo) -> list[Prepared]:
        with self._times.busy("waiting"):
            return self._source.get(info.batch_requests, info.batch_tokens, _LINGER_S)

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
        answers = self._answering.ask([(p, _task_prompt(p), p.windows) for p in batch])
        while (answer := self._timed(answers)) is not None:
            prepared, outcome = answer
            if isinstance(outcome, Failure):
                yield prepared, _failed(prepared, self._questions, outcome)
            else:
                yield prepared, [_result(prepared, verdict, outcome) for verdict in outcome.verdicts]

    def _timed(
        self, answers: Iterator[tuple[Prepared, Answered | Failure]]
    ) -> tuple[Prepared, Answered | Failure] | None:
        """The next answer; the time that the engine takes for it is the engine's."""
        before = self._answering.computed_tokens
        start = time.perf_counter()
        answer = next(answers, None)
        seconds = time.perf_counter() - start
        self.counts.computed_tokens = self._answering.computed_tokens
        self.counts.cached_tokens = self._answering.cached_tokens
        tokens = self.counts.computed_tokens - before
        self._times.add("engine", seconds, documents=answer is not None, tokens=tokens)
        return answer

    def _commit(self, done: Sequence[tuple[Prepared, list[Result]]], committing: Committing) -> None:
        if not done:
            return
        results = tuple(result for _, results in done for result in results)
        texts = [(p.read.content_sha256, p.text) for p, _ in done] if self._store_text else []
        commit = Commit(
            reads=tuple(prepared.read for prepared, _ in done),
            results=results,
            texts=tuple((key, text) for key, text in texts if key is not None and text is not None),
            computed_tokens=self.counts.computed_tokens - self._committed.computed_tokens,
            cached_tokens=self.counts.cached_tokens - self._committed.cached_tokens,
        )
        self.counts.documents += len(done)
        self.counts.failed += sum(_is_failure(prepared, results) for prepared, results in done)
        self._committed = replace(self.counts)
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
            document_tokens=prepared.counted_tokens,
            error=failure.reason,
        )
        for question in questions
    ]


def _result(prepared: Prepared, verdict: Verdict, answered: Answered) -> Result:
    return Result(
        content_sha256=prepared.read.content_sha256 or "",
        question=verdict.question,
        status=answered_status(verdict, prepared.truncated_tokens),
        label=verdict.label,
        probability=verdict.probability,
        probabilities=verdict.probabilities,
        label_mass=verdict.label_mass,
        expected=verdict.expected,
        document_tokens=prepared.counted_tokens,
        truncated_tokens=prepared.truncated_tokens,
        prompt_tokens=answered.prompt_tokens,
        cached_tokens=answered.cached_tokens,
    )
