"""Examples for a task, made of documents that people corrected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from thresher.errors import JobError, UsageError
from thresher.jobs import Decision, JobView, ReviewedLabels, RunFacts, check_new_file, new_file
from thresher.review.diversity import diverse
from thresher.tasks import Example, load_task
from thresher.tasks.task_yaml import task_yaml

#: Of a longer text the start and the end are taken: examples are read before every document.
_LONGEST_TEXT = 6_000
_GAP_MARK = "\n[...]\n"
_SUFFIXES = (".yaml", ".yml")


@dataclass(slots=True, kw_only=True)
class ExamplesWritten:
    """What was made of the corrected documents."""

    corrected: int = 0
    examples: int = 0
    labels: int = 0
    cut: int = 0  # texts of which only start and end were taken
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> documents

    @property
    def summary(self) -> str:
        """One line for people."""
        cut = f", {self.cut} of them cut to start and end" if self.cut else ""
        reasons = "".join(f"; {count} left out: {reason}" for reason, count in self.left_out.most_common())
        return (
            f"{self.examples} examples of {self.labels} labels, from {self.corrected} corrected documents{cut}{reasons}"
        )


def write_examples(folder: Path, file: Path, *, count: int, overwrite: bool = False) -> ExamplesWritten:
    """Write the job's task to ``file``, with up to ``count`` corrected documents as new examples of each question.

    None is taken from what the labels are measured with: documents with a gold label, those of the random sample, and
    others of the same content. The file appears complete or not at all.

    Raises:
        UsageError: the file exists, or no corrected document can be an example; the message says why.
        JobError: the job has no task, or cannot be read.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"a task file ends in .yaml, not {file.suffix!r}; change the name of FILE")
    check_new_file(file, overwrite=overwrite)
    with JobView.open(folder) as view:
        run = _run_with_a_task(view)
        written = ExamplesWritten()
        chosen = _choose(view, run, ReviewedLabels.of_job(folder), count, written)
    text = task_yaml(run.task, run.definition, chosen)
    with new_file(file, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")
        load_task(temporary)  # what cannot be read back is no task file
    return written


def _run_with_a_task(view: JobView) -> RunFacts:
    if view.run is None:
        raise JobError("nothing was begun in this job yet: run thresher classify with it first")
    if not view.run.definition:
        raise JobError(
            "the job remembers no task: its documents bring their own prompts, or it was made by an older version "
            "(then run the same classify command again, which adds it)"
        )
    return view.run


def _choose(
    view: JobView, run: RunFacts, reviewed: ReviewedLabels, count: int, written: ExamplesWritten
) -> dict[str, list[Example]]:
    measured = _measured_with(view, reviewed)
    chosen: dict[str, list[Example]] = {}
    for question in run.questions:
        corrected = [d for d in reviewed.decisions.values() if d.action == "correct" and d.question == question]
        written.corrected += len(corrected)
        usable = [e for d in corrected if (e := _example(view, run, d, measured, written)) is not None]
        chosen[question] = diverse(usable, count)
        written.examples += len(chosen[question])
        written.labels += len({example.label for example in chosen[question]})
    if not written.examples:
        reasons = "".join(f"; {number} {reason}" for reason, number in written.left_out.most_common())
        raise UsageError(
            f"there is no example to write: {written.corrected} documents are corrected{reasons}. Correct some with "
            "'thresher review JOB', the doubtful ones first"
        )
    written.cut = sum(_GAP_MARK in example.text for examples in chosen.values() for example in examples)
    return chosen


def _measured_with(view: JobView, reviewed: ReviewedLabels) -> set[str]:
    """The contents that the labels are measured with: of gold labels, and of the random sample up to its last."""
    keys = [reviewed.sample_key(d.document_id) or "" for d in reviewed.decisions.values() if d.queue == "random"]
    last = max(keys, default="")
    found: set[str] = set()
    for row in view.brief_rows():
        sampled = last and (reviewed.sample_key(row.document_id) or "") <= last
        if row.content_sha256 and (row.has_gold or sampled):
            found.add(row.content_sha256)
    return found


def _example(
    view: JobView, run: RunFacts, decision: Decision, measured: set[str], written: ExamplesWritten
) -> Example | None:
    """The example that a decision makes; None, with the reason counted, if it can make none."""
    content = decision.subject
    if content in measured:
        written.left_out["belong to what the labels are measured with"] += 1
        return None
    label = decision.label
    if label == () and run.kinds.get(decision.question) != "multi":
        written.left_out["fit none of the task's labels"] += 1
        return None
    if label is None or not set((label,) if isinstance(label, str) else label) <= set(run.labels[decision.question]):
        written.left_out["have a label that the task has no more"] += 1
        return None
    text = None if content.startswith("document:") else view.text(content)
    if not (text or "").strip():
        written.left_out["have no text in the job"] += 1
        return None
    return Example(shortened(text or ""), label)


def shortened(text: str) -> str:
    """A long text's start and end."""
    text = text.strip()
    if len(text) <= _LONGEST_TEXT:
        return text
    tail = (_LONGEST_TEXT - len(_GAP_MARK)) // 3
    return text[: _LONGEST_TEXT - len(_GAP_MARK) - tail] + _GAP_MARK + text[-tail:]
