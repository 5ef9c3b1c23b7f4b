"""A run without rows: read and tokenize everything, measure the engine on a few documents, say what to expect."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thresher.jobs import JobStore
from thresher.pipeline.asking import Place
from thresher.pipeline.listing import Places, list_documents
from thresher.pipeline.opening import References
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.preparing import ContentsUnderWay, Prepared
from thresher.pipeline.progress import Progress, SilentProgress
from thresher.pipeline.setup import Workbench, workbench
from thresher.pipeline.stage_times import StageTime, StageTimes
from thresher.pipeline.stages import prepared_documents, reader_pool
from thresher.pipeline.subject import open_subject
from thresher.pipeline.summary import as_json
from thresher.tasks import Task
from thresher.types import Prompt, Request

_SAMPLE_DOCUMENTS = 16
_SAMPLE_TOKENS = 20_000
_LONGEST_NAMED = 10
_UNREADABLE_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would meet. ``expected_seconds`` is projected from ``sampled_tokens`` tokens read just now."""

    documents: int
    readable: int
    duplicates: int
    unreadable: int
    unreadable_reasons: dict[str, str]  # document id -> reason, of the first of them
    document_tokens: int  # of distinct documents, whole
    prompt_tokens: int  # to be read by the engine, the shared prefix once
    prefix_tokens: int  # of them shared by documents
    too_long: int  # documents that do not fit the context
    longest: dict[str, int] = field(default_factory=dict)  # ids and tokens of the longest that do not fit
    context: int | None  # None where a server does not say
    long_policy: str
    engine: str
    model: str
    precision: str
    sampled_tokens: int
    tokens_per_second: float | None
    expected_seconds: float | None
    stages: Mapping[str, StageTime]

    def to_json(self, *, with_stages: bool = False) -> dict[str, Any]:
        """The fields as a JSON object, unrounded; ``stages`` only if asked for."""
        return as_json(self, with_stages=with_stages)


def dry_run(
    places: Places,
    task: Task | None,
    model: References,
    options: ClassifyOptions,
    *,
    exclude: Sequence[Path] = (),
    progress: Progress | None = None,
) -> DryRun:
    """Read and tokenize the documents of ``places`` as ``run_classify`` would; nothing is stored."""
    progress = progress or SilentProgress()
    subject, _ = open_subject(places, task, options, exclude)
    tally = _Tally()
    stop = threading.Event()
    times = StageTimes()
    start = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="thresher-dry-run-") as folder,
        JobStore.open(Path(folder)) as store,
        workbench(subject, model, options, None, progress, store.folder) as bench,
        reader_pool(options) as pool,
    ):
        store.begin_run(bench.facts)
        with times.busy("listing"):
            list_documents(store, subject.inputs.items(pool), progress, stop)
        under_way = ContentsUnderWay(store)
        with prepared_documents(
            subject.inputs.items_to_read(pool), store, pool, bench.engine.tokenizer, bench.asking, under_way, times,
            stop, batch_tokens=bench.engine.info.batch_tokens,
        ) as queue:  # fmt: skip
            while batch := queue.get(1_000, bench.engine.info.batch_tokens):
                for prepared in batch:
                    tally.add(prepared)
        stages = times.report(time.monotonic() - start)
        return tally.report(bench, options, stages)


class _Tally:
    """Counts what goes by and keeps a sample of it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._unreadable: dict[str, str] = {}
        self._too_long: dict[str, int] = {}
        self._sample: list[tuple[Prompt, Sequence[int]]] = []
        self._prefix: Prompt | None = None  # that was read last

    def add(self, prepared: Prepared) -> None:
        self._counts["documents"] += 1
        read = prepared.read
        reason = read.unreadable_reason
        if prepared.failure is not None and prepared.place is None:  # a request that this model cannot be asked
            if prepared.failure.status == "oversize":
                self._counts["too_long"] += 1
                return
            reason = prepared.failure.reason
        if reason is not None:
            self._counts["unreadable"] += 1
            if len(self._unreadable) < _UNREADABLE_NAMED:
                self._unreadable[read.document_id] = reason
            return
        if prepared.place is None:
            self._counts["duplicates"] += 1
            return
        admission = prepared.place.admission
        document_tokens = admission.tokens_in(prepared.document_tokens)
        self._counts["document_tokens"] += document_tokens
        if prepared.document_tokens > admission.capacity_tokens:
            self._counts["too_long"] += 1
            self._remember_longest(read.document_id, document_tokens)
        self._add_windows(prepared.windows, prepared.place)

    def _add_windows(self, windows: Sequence[Sequence[int]], place: Place) -> None:
        prompt, tokens_in = place.task_prompt.prompt, place.admission.tokens_in
        if windows and prompt is not self._prefix:
            self._prefix = prompt
            self._counts["prefix_tokens"] += tokens_in(len(prompt.prefix_tokens))
        for window in windows:
            suffixes = sum(len(question.suffix_tokens) for question in prompt.questions)
            self._counts["read_tokens"] += tokens_in(len(window) + suffixes)
            if len(self._sample) < _SAMPLE_DOCUMENTS and sum(len(w) for _, w in self._sample) < _SAMPLE_TOKENS:
                self._sample.append((prompt, window))

    def _remember_longest(self, document_id: str, tokens: int) -> None:
        self._too_long[document_id] = tokens
        if len(self._too_long) > _LONGEST_NAMED:
            del self._too_long[min(self._too_long, key=self._too_long.__getitem__)]

    def report(self, bench: Workbench, options: ClassifyOptions, stages: Mapping[str, StageTime]) -> DryRun:
        prefix_tokens = self._counts["prefix_tokens"]
        prompt_tokens = prefix_tokens + self._counts["read_tokens"]
        sampled_tokens, rate = self._measure(bench)
        info = bench.engine.info
        return DryRun(
            documents=self._counts["documents"],
            readable=self._counts["documents"] - self._counts["unreadable"],
            duplicates=self._counts["duplicates"],
            unreadable=self._counts["unreadable"],
            unreadable_reasons=self._unreadable,
            document_tokens=self._counts["document_tokens"],
            prompt_tokens=prompt_tokens,
            prefix_tokens=prefix_tokens,
            too_long=self._counts["too_long"],
            longest=self._too_long,
            context=info.largest_request_tokens or None,
            long_policy=options.long_policy,
            engine=info.engine,
            model=info.model,
            precision=info.precision,
            sampled_tokens=sampled_tokens,
            tokens_per_second=rate,
            expected_seconds=None if rate is None else prompt_tokens / rate,
            stages=stages,
        )

    def _measure(self, bench: Workbench) -> tuple[int, float | None]:
        """Tokens and tokens per second of the sample, read after a first document that warms the engine up."""
        requests = [
            Request(request_id=position, prompt=prompt, document_tokens=tokens)
            for position, (prompt, tokens) in enumerate(self._sample)
        ]
        for _ in bench.engine.score(requests[:1]):
            pass
        start = time.monotonic()
        tokens = sum(scores.computed_tokens for scores in bench.engine.score(requests))
        seconds = time.monotonic() - start
        return tokens, tokens / seconds if tokens and seconds > 0 else None
