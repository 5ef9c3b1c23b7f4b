"""From names to things that are open: the model's files, the engine, the prompt, the run's identity."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thresher.documents import parser_version
from thresher.engines import Engine, EngineOptions, choose_engine, open_engine
from thresher.jobs import RunFacts
from thresher.models import Model, ModelFacts, open_model, resolve
from thresher.pipeline.admission import Admission, LongPolicy
from thresher.pipeline.asking import Asking, AskingOptions, Assignment, TaskAsking
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.progress import Progress
from thresher.pipeline.subject import Subject
from thresher.tasks import Task, TaskPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """An open engine, and what is asked in the tokens of its model."""

    engine: Engine
    asking: Asking
    facts: RunFacts
    load_seconds: float


@contextlib.contextmanager
def workbench(
    subject: Subject,
    model: str,
    options: ClassifyOptions,
    latest_run: RunFacts | None,
    progress: Progress,
) -> Iterator[Workbench]:
    """Resolve the model, open its engine, build what is asked; the engine is closed at the end of the block.

    With no context asked for, a job goes on with the context of its latest run of the same model and engine: what
    memory allows may differ from day to day, and rows of one run should not.
    """
    start = time.monotonic()
    opened = open_model(resolve(model))
    name, reason = choose_engine(options.engine, opened)
    for message in (f"engine: {name} ({reason})", *opened.notices):
        progress.message(message)
    context = options.context_tokens or _context_of(latest_run, opened.facts, name)
    with open_engine(name, opened, engine_options(options, context)) as engine:
        for message in engine.info.notices:
            progress.message(message)
        asking, notices = subject.asking(asking_options(opened, engine, options.long_policy))
        for message in notices:
            progress.message(message)
        yield Workbench(
            engine=engine,
            asking=asking,
            facts=_run_facts(subject.assignment, engine, subject.inputs.names(), options),
            load_seconds=time.monotonic() - start,
        )


def engine_options(options: ClassifyOptions, context_tokens: int | None) -> EngineOptions:
    """What the options say to an engine."""
    return EngineOptions(
        precision=options.precision,
        context_tokens=context_tokens,
        threads=options.threads,
        device=options.device,
        weights_memory_bytes=options.weights_memory_bytes,
    )


def asking_options(model: Model, engine: Engine, policy: LongPolicy) -> AskingOptions:
    """What asking needs to know of an open engine."""
    return AskingOptions(
        tokenizer=engine.tokenizer,
        chat=model.chat,
        context_tokens=engine.info.largest_request_tokens,
        long_policy=policy,
    )


def put_into_tokens(task: Task, model: Model, engine: Engine, policy: LongPolicy) -> tuple[TaskPrompt, Admission]:
    """The task in the tokens of an open engine, and what fits beside them.

    Raises:
        UsageError: the task does not fit the model or leaves no room for a document.
        ModelFormatError: the model's chat template cannot be used.
    """
    place = TaskAsking(task, asking_options(model, engine, policy)).the_place
    return place.task_prompt, place.admission


def _context_of(latest_run: RunFacts | None, facts: ModelFacts, engine: str) -> int | None:
    if latest_run is None or latest_run.model_fingerprint != facts.fingerprint or latest_run.engine != engine:
        return None
    return latest_run.context_tokens


def _run_facts(assignment: Assignment, engine: Engine, inputs: Sequence[str], options: ClassifyOptions) -> RunFacts:
    info = engine.info
    return RunFacts(
        task=assignment.name,
        task_fingerprint=assignment.fingerprint,
        questions=assignment.questions,
        model=info.model,
        model_fingerprint=info.model_fingerprint,
        engine=info.engine,
        precision=info.precision,
        context_tokens=info.largest_request_tokens,
        long_policy=options.long_policy,
        parser_version=parser_version(ocr=options.ocr),
        inputs=tuple(inputs),
        labels=assignment.labels,
        kinds=assignment.kinds,
        definition=assignment.definition,
    )
