"""What a run is about: its documents and what is asked of them, before a model is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thresher.documents import Frame, batch_files
from thresher.errors import UsageError
from thresher.pipeline.asking import Asking, AskingOptions, Assignment, TaskAsking, task_assignment
from thresher.pipeline.batch import BATCH_ASSIGNMENT, BatchAsking, BatchInputs
from thresher.pipeline.gold_columns import resolve_gold_columns
from thresher.pipeline.listing import Inputs, Places
from thresher.pipeline.options import JOBS_FOLDER, ClassifyOptions, default_job_folder
from thresher.tasks import Task


class Subject(Protocol):
    """Documents, and what is asked of them."""

    @property
    def assignment(self) -> Assignment:
        """What is asked, as the job remembers it."""

    @property
    def inputs(self) -> Inputs | BatchInputs:
        """The documents."""

    def asking(self, options: AskingOptions) -> tuple[Asking, Sequence[str]]:
        """What is asked in the tokens of a model, and what a user should know of it. Raises ``ThresherError``."""


@dataclass(frozen=True, slots=True)
class TaskSubject:
    """One task for all documents."""

    inputs: Inputs
    task: Task

    @property
    def assignment(self) -> Assignment:
        """That of the task."""
        return task_assignment(self.task)

    def asking(self, options: AskingOptions) -> tuple[Asking, Sequence[str]]:
        """See :class:`Subject`."""
        asking = TaskAsking(self.task, options)
        return asking, asking.notices


@dataclass(frozen=True, slots=True)
class BatchSubject:
    """Requests that ask for themselves."""

    inputs: BatchInputs
    assignment: Assignment = BATCH_ASSIGNMENT

    def asking(self, options: AskingOptions) -> tuple[Asking, Sequence[str]]:
        """See :class:`Subject`."""
        asking = BatchAsking(self.inputs.sharing, options)
        return asking, (*self.inputs.notices, *asking.notices)


def open_subject(
    places: Places, task: Task | None, options: ClassifyOptions, exclude: Sequence[Path]
) -> tuple[Subject, Path]:
    """What a run over ``places`` is about, its inputs checked, and the folder of its job.

    Raises:
        UsageError: there is no task and the inputs bring none, or there are both.
        InputError: an input is wrong, or there is no document.
    """
    batches = [] if isinstance(places, Frame) else batch_files(places)
    if batches and task is not None:
        raise UsageError(
            f"{batches[0]} is a batch file, which brings its own prompts and labels; leave out --task and --labels"
        )
    if not batches and task is None:
        raise UsageError("give either --task FILE or --labels a,b,c")
    if task is None:
        requests = BatchInputs(batches, options, exclude)
        requests.check()
        return BatchSubject(requests), _folder(options, requests.names(), BATCH_ASSIGNMENT)
    folder = _folder(options, Inputs(places, options).names(), task_assignment(task))
    gold_columns = resolve_gold_columns(options.gold_columns, [question.name for question in task.questions])
    # other jobs are no documents either
    inputs = Inputs(places, options, [folder, Path(JOBS_FOLDER), *exclude], gold_columns)
    inputs.check()
    return TaskSubject(inputs, task), folder


def _folder(options: ClassifyOptions, names: Sequence[str], assignment: Assignment) -> Path:
    return options.job or default_job_folder(names, assignment.name, assignment.fingerprint)
