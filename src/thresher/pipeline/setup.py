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
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.progress import Progress
from thresher.tasks import Task, TaskPrompt, build_prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """An open engine with the task's prompt for its model."""

    engine: Engine
    task_prompt: TaskPrompt
    admission: Admission
    facts: RunFacts
    load_seconds: float


@contextlib.contextmanager
def workbench(
    task: Task,
    model: str,
    inputs: Sequence[str],
    options: ClassifyOptions,
    latest_run: RunFacts | None,
    progress: Progress,
) -> Iterator[Workbench]:
    """Resolve the model, open its engine, build the prompt; the engine is closed at the end of the block.

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
        task_prompt, admission = put_into_tokens(task, opened, engine, options.long_policy)
        for message in task_prompt.notices:
            progress.message(message)
        yield Workbench(
            engine=engine,
            task_prompt=task_prompt,
            admission=admission,
            facts=_run_facts(task, engine, inputs, options),
            load_seconds=time.monotonic() - start,
        )


def engine_options(options: ClassifyOptions, context_tokens: int | None) -> EngineOptions:
    """What the options say to an engine."""
    return EngineOptions(
        precision=options.precision, context_tokens=context_tokens, threads=options.threads, device=options.device
    )


def put_into_tokens(task: Task, model: Model, engine: Engine, policy: LongPolicy) -> tuple[TaskPrompt, Admission]:
    """The task in the tokens of an open engine, and what fits beside them.

    Raises:
        UsageError: the task does not fit the model or leaves no room for a document.
        ModelFormatError: the model's chat template cannot be used.
    """
    task_prompt = build_prompt(task, engine.tokenizer, model.chat)
    admission = Admission(
        context_tokens=engine.info.largest_request_tokens,
        prompt=task_prompt.prompt,
        policy=policy,
        tokenizer=engine.tokenizer,
    )
    return task_prompt, admission


def _context_of(latest_run: RunFacts | None, facts: ModelFacts, engine: str) -> int | None:
    if latest_run is None or latest_run.model_fingerprint != facts.fingerprint or latest_run.engine != engine:
        return None
    return latest_run.context_tokens


def _run_facts(task: Task, engine: Engine, inputs: Sequence[str], options: ClassifyOptions) -> RunFacts:
    info = engine.info
    return RunFacts(
        task=task.name,
        task_fingerprint=task.fingerprint,
        questions=tuple(question.name for question in task.questions),
        model=info.model,
        model_fingerprint=info.model_fingerprint,
        engine=info.engine,
        precision=info.precision,
        context_tokens=info.largest_request_tokens,
        long_policy=options.long_policy,
        parser_version=parser_version(ocr=options.ocr),
        inputs=tuple(inputs),
        labels={question.name: question.label_names for question in task.questions},
        kinds={question.name: question.kind for question in task.questions},
    )
