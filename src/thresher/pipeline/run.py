"""The whole way: inputs -> documents -> prompts -> engine -> rows on the disk."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from thresher.documents import ReaderPool
from thresher.errors import JobError, UsageError
from thresher.jobs import JobCounts, JobStore, JobView, PassFacts, RunFacts
from thresher.pipeline.batch import BatchInputs
from thresher.pipeline.content_free import read_content_free
from thresher.pipeline.interrupts import stop_on_interrupt
from thresher.pipeline.listing import Inputs, Places, list_documents
from thresher.pipeline.machine_words import machine_in_words
from thresher.pipeline.opening import References
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.preparing import ContentsUnderWay
from thresher.pipeline.progress import Progress, ProgressState, SilentProgress
from thresher.pipeline.room import check_room
from thresher.pipeline.scoring import Scoring, ScoringCounts
from thresher.pipeline.setup import Workbench, workbench
from thresher.pipeline.stage_times import StageTimes
from thresher.pipeline.stages import prepared_documents, reader_pool
from thresher.pipeline.subject import open_subject
from thresher.pipeline.summary import RunSummary
from thresher.tasks import Task
from thresher.types import Failure, Prediction


class Run:
    """A finished (or interrupted) run: iterate over it for its predictions."""

    def __init__(self, job: Path, summary: RunSummary) -> None:
        self.job = job
        self.summary = summary

    def __iter__(self) -> Iterator[Prediction]:
        with JobView.open(self.job) as view:
            yield from view.rows()

    def __len__(self) -> int:
        return sum(self.summary.statuses.values())


def run_classify(
    places: Places,
    task: Task | None,
    model: References,
    options: ClassifyOptions,
    *,
    exclude: Sequence[Path] = (),
    progress: Progress | None = None,
    command: str = "",
) -> Run:
    """Give every document of ``places`` its stored row; see :func:`thresher.classify`.

    ``command`` is how it was asked for, for those who read of the run later.
    """
    progress = progress or SilentProgress()
    subject, folder = open_subject(places, task, options, exclude)
    with JobStore.open(folder) as store:
        latest = store.latest_run()
        with workbench(subject, model, options, latest, progress, store.folder) as bench:
            return _Pass(store, bench, subject.inputs, options, latest, progress).run(command)


class _Pass:
    """One pass over the inputs with everything open."""

    def __init__(
        self,
        store: JobStore,
        bench: Workbench,
        inputs: Inputs | BatchInputs,
        options: ClassifyOptions,
        latest: RunFacts | None,
        progress: Progress,
    ) -> None:
        self._store = store
        self._bench = bench
        self._inputs = inputs
        self._options = options
        self._progress = progress
        self._stop = threading.Event()
        self._times = StageTimes()
        self._start = time.monotonic()
        self._begin(latest)

    def _begin(self, latest: RunFacts | None) -> None:
        resumes = self._store.begin_run(self._bench.facts)
        if latest is not None and latest.fingerprint != self._bench.facts.fingerprint:
            verb = "goes on with earlier rows of" if resumes else "starts new rows for"
            what = ", ".join(_differences(latest, self._bench.facts))
            self._progress.message(
                f"{what} changed since the last run: this one {verb} these settings; the others stay"
            )
        if self._options.retry_failed:
            count = self._store.forget_failures()
            self._progress.message(f"{count} failures are tried again")

    def run(self, command: str) -> Run:
        self._store.begin_pass(_pass_facts(self._bench, command))
        try:
            run = self._run()
        except BaseException:
            with contextlib.suppress(JobError):  # the disk may be full: what is raised says so
                self._store.end_pass("failed")
            raise
        self._store.end_pass("interrupted" if run.summary.interrupted else "finished")
        return run

    def _run(self) -> Run:
        with stop_on_interrupt(self._stop, self._progress.message), reader_pool(self._options) as pool:
            with self._times.busy("listing"):
                list_documents(self._store, self._inputs.items(pool), self._progress, self._stop)
            before = self._counts()
            self._times.add("listing", documents=before.documents)
            check_room(self._store, len(self._bench.facts.questions), store_text=self._options.store_text)
            counts = self._score(before, pool)
            self._read_content_free()
            interrupted = self._stop.is_set()
            after = self._counts()
            if after.left and not interrupted:
                self._store.finish_listing()
                after = self._counts()
        return Run(self._store.folder, self._summary(before, after, counts, interrupted=interrupted))

    def _score(self, before: JobCounts, pool: ReaderPool) -> ScoringCounts:
        under_way = ContentsUnderWay(self._store)
        engine, asking = self._bench.engine, self._bench.asking
        with prepared_documents(
            self._inputs.items_to_read(pool), self._store, pool, engine.tokenizer, asking, under_way, self._times,
            self._stop, batch_tokens=engine.info.batch_tokens,
        ) as prepared:  # fmt: skip
            scoring = Scoring(
                prepared, engine, self._bench.facts.questions, self._store, under_way, self._times,
                store_text=self._options.store_text, should_stop=self._stop.is_set,
                on_commit=lambda counts: self._progress.update(self._state(before, counts)),
            )  # fmt: skip
            scoring.run()
        return scoring.counts

    def _read_content_free(self) -> None:
        """For contextual calibration, once in a run; after the documents, so that a run without them is as before."""
        if not self._options.content_free or self._stop.is_set() or self._store.has_content_free():
            return
        ask = self._bench.asking.of(None)
        if isinstance(ask, Failure):
            raise UsageError(f"--content-free needs a task that is the same for all documents: {ask.reason}")
        self._store.store_content_free(read_content_free(self._bench.engine, ask))

    def _state(self, before: JobCounts, counts: ScoringCounts) -> ProgressState:
        resumed = before.documents - before.left
        return ProgressState(
            documents_total=before.documents,
            documents_done=resumed + counts.documents,
            documents_failed=before.failed + counts.failed,
            documents_resumed=resumed,
            computed_tokens=counts.computed_tokens,
            seconds=time.monotonic() - self._start,
        )

    def _counts(self) -> JobCounts:
        with JobView.open(self._store.folder) as view:
            return view.counts()

    def _summary(self, before: JobCounts, after: JobCounts, counts: ScoringCounts, *, interrupted: bool) -> RunSummary:
        seconds = time.monotonic() - self._start
        facts = self._bench.facts
        return RunSummary(
            job=str(self._store.folder),
            documents=after.documents,
            labelled=after.labelled,
            statuses=after.statuses,
            resumed=before.documents - before.left,
            duplicates=after.duplicates,
            prompt_tokens=counts.computed_tokens + counts.cached_tokens,
            cached_tokens=counts.cached_tokens,
            seconds=seconds,
            load_seconds=self._bench.load_seconds,
            documents_per_second=counts.documents / seconds,
            tokens_per_second=counts.computed_tokens / seconds,
            label_counts=after.label_counts,
            engine=facts.engine,
            model=facts.model,
            precision=facts.precision,
            context=facts.context_tokens or None,
            left=after.left,
            interrupted=interrupted,
            stages=self._times.report(seconds),
        )


def _pass_facts(bench: Workbench, command: str) -> PassFacts:
    info = bench.engine.info
    return PassFacts(
        started_at=time.time(),
        load_seconds=bench.load_seconds,
        thresher_version=version("thresher"),
        engine_version=info.version,
        device=info.device,
        machine=machine_in_words(),
        command=command,
    )


def _differences(old: RunFacts, new: RunFacts) -> list[str]:
    names = {
        "task": (old.task_fingerprint, new.task_fingerprint),
        "model": (old.model_fingerprint, new.model_fingerprint),
        "engine": (old.engine, new.engine),
        "precision": (old.precision, new.precision),
        "--context": (old.context_tokens, new.context_tokens),
        "--long": (old.long_policy, new.long_policy),
        "parser version": (old.parser_version, new.parser_version),
    }
    return [name for name, (before, after) in names.items() if before != after]
