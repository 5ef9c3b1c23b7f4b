"""A benchmark: its cases one after the other, each stored as soon as it is measured."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from thresher.bench.cases import Case
from thresher.bench.child import run_case
from thresher.bench.measurement import Measurement
from thresher.bench.options import BenchOptions, setting_swept
from thresher.bench.results import Results
from thresher.bench.tuning import Tuned, tune
from thresher.bench.workload import Workload
from thresher.engines import choose_engine, engine_settings
from thresher.errors import EngineError, UsageError
from thresher.models import Model
from thresher.pipeline import ClassifyOptions
from thresher.pipeline.opening import find_model
from thresher.pipeline.profile import subject_of
from thresher.planning import Subject

#: Documents of the pass that only finds out how fast a machine is, to know how many it can read.
_PROBE_DOCUMENTS = 2
_LEAST_DOCUMENTS = 4
#: Beside a document of a sweep over contexts: the prefix and what comes after the document.
_ROOM_TOKENS = 512


class BenchProgress(Protocol):
    """Told how a benchmark goes."""

    def message(self, text: str) -> None:
        """Something a person should know."""

    def case(self, number: int, of: int, name: str, eta_s: float | None) -> None:
        """A case begins."""

    def step(self, text: str) -> None:
        """Within a case."""


def run_bench(
    models: Sequence[str], workload: Workload, options: BenchOptions, results: Results, progress: BenchProgress
) -> None:
    """Measure every case that ``results`` does not have yet, and add it there.

    Raises:
        UsageError, ModelError, EngineError: nothing can be measured as asked.
    """
    engines = _engines(models, options)
    with _work_folder() as folder:
        if options.sweep != "context":
            workload = _cut(models, engines[0], workload, options, folder, progress)
        cases = list(_cases(models, engines, workload, options, folder))
        todo = [case for case in cases if case.key not in results.measured]
        if len(todo) < len(cases):
            progress.message(f"{len(cases) - len(todo)} of {len(cases)} cases were measured before and are kept")
        start = time.monotonic()
        for number, case in enumerate(todo):
            spent = time.monotonic() - start
            progress.case(number + 1, len(todo), case.name(), spent / number * (len(todo) - number) if number else None)
            results.add(case, run_case(case, progress.step))


def run_tune(
    models: Sequence[str],
    engine: str,
    workload: Workload,
    options: BenchOptions,
    budget_s: float,
    progress: BenchProgress,
) -> tuple[Subject, Tuned]:
    """Find the fastest settings of ``engine``, and for whom they are.

    Raises:
        UsageError: an engine without settings, or a served model, whose settings are its server's.
        ModelError, EngineError: it cannot be opened or measured.
    """
    wishes = ClassifyOptions(engine=engine, precision=options.precisions[0], device=options.device)
    model = find_model(models[0] if len(models) == 1 else models, wishes)
    if not isinstance(model, Model):
        raise UsageError(f"--model {models[0]} is a server, which has its own settings; tune what you start yourself")
    name, _ = choose_engine(engine, model)
    ranges = engine_settings(name)
    if not ranges:
        raise UsageError(f"--engine {name} has no settings to tune")
    with _work_folder() as folder:

        def measure(settings: Mapping[str, int], documents: int) -> Measurement:
            asked = replace(options, repetitions=1, settings={**options.settings, **settings})
            return run_case(_case(models, name, asked, workload.first(documents), folder))

        found = tune(ranges, measure, workload.documents, budget_s, progress.message)
    return subject_of(name, model, wishes), found


def _engines(models: Sequence[str], options: BenchOptions) -> tuple[str, ...]:
    """The engines by their names: what ``auto`` takes, and no engine that there is not."""
    wishes = ClassifyOptions(tokenizer=options.tokenizer)
    model = find_model(models[0] if len(models) == 1 else models, wishes)
    return tuple(dict.fromkeys(choose_engine(name, model)[0] for name in options.engines))


@contextmanager
def _work_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="thresher-bench-") as folder:
        yield Path(folder)


def _cut(
    models: Sequence[str], engine: str, workload: Workload, options: BenchOptions, folder: Path, progress: BenchProgress
) -> Workload:
    """As much of the workload as asked for, or as the first engine reads in about the time of a case."""
    if options.limit is not None:
        return workload.first(options.limit)
    probe = workload.first(_PROBE_DOCUMENTS)
    case = replace(_case(models, engine, options, probe, folder), repetitions=1)
    progress.case(0, 0, f"{engine}: how fast is it about?", None)
    found = run_case(case, progress.step)
    if found.documents_per_second is None:
        reason = found.failure.reason if found.failure else "it gave no answer"
        raise EngineError(f"{engine} cannot read the workload {workload.name}: {reason}")
    count = max(_LEAST_DOCUMENTS, int(found.documents_per_second * options.case_seconds))
    if count >= workload.documents:
        return workload
    progress.message(
        f"{count} of the {workload.documents} documents of {workload.name} are read, evenly through their lengths: a "
        f"pass takes about {options.case_seconds:.0f} s so; --limit {workload.documents} reads all"
    )
    return workload.first(count)


def _cases(
    models: Sequence[str], engines: Sequence[str], workload: Workload, options: BenchOptions, folder: Path
) -> Iterator[Case]:
    for engine in engines:
        for precision in options.precisions:
            asked = replace(options, precisions=(precision,))
            if options.sweep is None:
                yield _case(models, engine, asked, workload, folder)
            for value in options.swept():
                yield _swept_case(models, engine, asked, workload, folder, value)


def _swept_case(
    models: Sequence[str], engine: str, options: BenchOptions, workload: Workload, folder: Path, value: int
) -> Case:
    if options.sweep == "context":
        workload = workload.of_length(value)
        options = replace(options, context_tokens=value + workload.prefix_tokens + _ROOM_TOKENS)
    case = replace(_case(models, engine, options, workload, folder), sweep=options.sweep or "", value=value)
    if options.sweep == "concurrency":
        return replace(case, concurrency=value)
    if options.sweep == "batch":
        return replace(case, settings={**case.settings, **setting_swept(engine, value)})
    return case


def _case(models: Sequence[str], engine: str, options: BenchOptions, workload: Workload, folder: Path) -> Case:
    return Case(
        models=tuple(models), engine=engine, precision=options.precisions[0], workload=workload.name,
        workload_file=str(_written(workload, folder)), context_tokens=options.context_tokens, threads=options.threads,
        device=options.device, weights_memory_bytes=options.weights_memory_bytes, tokenizer=options.tokenizer,
        repetitions=options.repetitions, settings=options.settings, documents=workload.documents,
    )  # fmt: skip


def _written(workload: Workload, folder: Path) -> Path:
    file = folder / f"{workload.name.replace('/', '_')[-60:]}-{workload.documents}.json"
    if not file.exists():
        fields = {
            "prefix_tokens": workload.prefix_tokens,
            "document_tokens": workload.document_tokens,
            "texts": workload.texts,
        }
        file.write_text(json.dumps(fields), encoding="utf-8")
    return file
