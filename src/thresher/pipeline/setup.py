"""From names to things that are open: the model's files, the engine, the prompt, the run's identity."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from thresher.documents import parser_version
from thresher.engines import Engine
from thresher.jobs import RunFacts
from thresher.pipeline.admission import Admission, LongPolicy
from thresher.pipeline.asking import Asking, AskingOptions, Assignment, TaskAsking
from thresher.pipeline.opening import Opened, References, find_model, open_chosen
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
    model: References,
    options: ClassifyOptions,
    latest_run: RunFacts | None,
    progress: Progress,
    job_folder: Path,
) -> Iterator[Workbench]:
    """Find the model, open its engine, build what is asked; the engine is closed at the end of the block."""
    start = time.monotonic()
    opened = open_chosen(find_model(model, options), options, latest_run, progress.message, job_folder)
    with opened.engine as engine:
        for message in (*opened.notices, *engine.info.notices):
            progress.message(message)
        asking, notices = subject.asking(asking_options(opened, options.long_policy))
        for message in notices:
            progress.message(message)
        yield Workbench(
            engine=engine,
            asking=asking,
            facts=_run_facts(subject.assignment, engine, subject.inputs.names(), options),
            load_seconds=time.monotonic() - start,
        )


def asking_options(opened: Opened, policy: LongPolicy) -> AskingOptions:
    """What asking needs to know of an open engine."""
    return AskingOptions(
        tokenizer=opened.engine.tokenizer,
        chat=opened.chat,
        context_tokens=opened.engine.info.largest_request_tokens,
        bytes_per_token=opened.engine.info.bytes_per_token,
        long_policy=policy,
    )


def put_into_tokens(task: Task, opened: Opened, policy: LongPolicy) -> tuple[TaskPrompt, Admission]:
    """The task in the tokens of an open engine, and what fits beside them.

    Raises:
        UsageError: the task does not fit the model or leaves no room for a document.
        ModelFormatError: the model's chat template cannot be used.
    """
    place = TaskAsking(task, asking_options(opened, policy)).the_place
    return place.task_prompt, place.admission


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
