"""The only place that joins documents, task, engine and store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from thresher.documents import is_frame, open_frame
from thresher.errors import UsageError
from thresher.pipeline.admission import LONG_POLICIES, LongPolicy
from thresher.pipeline.dry_run import DryRun, dry_run
from thresher.pipeline.gold_columns import as_given
from thresher.pipeline.machine import MachineWishes
from thresher.pipeline.machine_words import machine_in_words
from thresher.pipeline.opening import References, launch_command
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.planning import plan_model
from thresher.pipeline.progress import Progress, ProgressState
from thresher.pipeline.run import Run, run_classify
from thresher.pipeline.stage_times import StageTime
from thresher.pipeline.summary import RunSummary
from thresher.pipeline.texts import classify_texts, close_engine, text_labelling
from thresher.tasks import Task

__all__ = [
    "LONG_POLICIES",
    "ClassifyOptions",
    "DryRun",
    "LongPolicy",
    "MachineWishes",
    "Progress",
    "ProgressState",
    "Run",
    "RunSummary",
    "StageTime",
    "classify",
    "classify_texts",
    "close_engine",
    "dry_run",
    "launch_command",
    "machine_in_words",
    "plan_model",
    "run_classify",
    "text_labelling",
]


def classify(
    inputs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | object,
    task: Task | None = None,
    *,
    model: References,
    engine: str = "auto",
    precision: str = "auto",
    job: str | os.PathLike[str] | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    gold_column: str | Mapping[str, str] | None = None,
    content_free: bool = False,
    attachments: bool = False,
    ocr: bool = False,
    context: int | None = None,
    long: LongPolicy = "head-tail",
    limit: int | None = None,
    retry_failed: bool = False,
    store_text: bool = True,
    threads: int | None = None,
    device: str | None = None,
    weights_memory_bytes: int | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    deadline: float | None = None,
    progress: Progress | None = None,
) -> Run:
    """Give every document its label and its probability, durably.

    Args:
        inputs: files, folders, globs and tables (``.jsonl``, ``.csv``, ``.parquet``). Or one table in memory: a
            pandas ``DataFrame``, a pyarrow ``Table`` or ``RecordBatchReader``, a Hugging Face ``Dataset``, or
            anything that offers an Arrow stream (``__arrow_c_stream__``); its documents are called ``DataFrame:1``
            and so on where no column has their ids.
        task: what to ask; None for batch files (OpenAI batch JSONL), which bring their own prompts and labels.
        model: ``"demo"``, a ``.gguf`` file, ``"owner/repo[:QUANT]"`` on the hub, or the address of a server that runs
            (``"http://HOST:PORT"``); several addresses share the work.
        engine: a name that ``thresher engines`` lists, or ``"auto"``.
        precision: what the engine computes in; ``"auto"`` is the weights' own.
        job: the job's folder; the default depends on inputs and task. Running again goes on where it stopped.
        text_column: the column of a table that holds the text.
        id_column: the column of a table that holds the documents' ids.
        gold_column: the column of a table that holds the right labels, kept beside the predictions; of a task with
            several questions a mapping of questions to columns.
        content_free: also read three texts without content, whose probabilities contextual calibration needs.
        attachments: attachments of mails are documents of their own, too.
        ocr: read scanned PDFs and pictures by optical character recognition (needs ``thresher[ocr]``).
        context: the largest prompt in tokens; the default is the model's own, cut to what the memory allows.
        long: what to do with longer documents: ``"head-tail"``, ``"head"``, ``"windows"`` or ``"skip"``.
        limit: only the first so many documents.
        retry_failed: try failures of earlier runs again.
        store_text: keep the documents' text in the job for reviews and reports.
        threads: CPU threads of the engine.
        device: where the engine computes, e.g. ``"cpu"``.
        weights_memory_bytes: memory for weights; the engine ``native`` streams what does not fit.
        tokenizer: of a served model: its files, or other files with the same tokenizer and chat template.
        deadline: seconds that a server may take for one document; the default is 600.
        progress: told how the run goes.

    Returns:
        The run; iterate over it for its predictions, one for each document.

    Raises:
        UsageError: something asked for cannot be done; the message says how to mend it.
        ModelError, EngineError, JobError: the run could not start or go on; what was stored stays stored.
    """
    options = ClassifyOptions(
        engine=engine,
        precision=precision,
        job=None if job is None else Path(job),
        text_column=text_column,
        id_column=id_column,
        gold_columns=as_given(gold_column),
        content_free=content_free,
        attachments=attachments,
        ocr=ocr,
        context_tokens=context,
        long_policy=long,
        limit=limit,
        retry_failed=retry_failed,
        store_text=store_text,
        threads=threads,
        device=device,
        weights_memory_bytes=weights_memory_bytes,
        tokenizer=None if tokenizer is None else os.fspath(tokenizer),
        deadline_s=deadline,
    )
    if is_frame(inputs):
        with open_frame(inputs) as frame:
            return run_classify(frame, task, model, options, progress=progress)
    return run_classify(_places(inputs), task, model, options, progress=progress)


def _places(inputs: object) -> Sequence[str | os.PathLike[str]]:
    places = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    if not isinstance(places, Iterable) or isinstance(places, Mapping):
        raise UsageError(f"inputs is a {type(inputs).__name__}; give paths or a table such as a DataFrame")
    listed = list(places)
    for place in listed:
        if not isinstance(place, (str, os.PathLike)):
            raise UsageError(f"an input is a {type(place).__name__}; give paths, or one table by itself")
    return listed
