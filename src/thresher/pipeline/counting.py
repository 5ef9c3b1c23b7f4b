"""How many tokens documents have, counted by the stages that a run reads and tokenizes with."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from pathlib import Path

from thresher.documents import Frame, batch_files
from thresher.jobs import JobStore, RunFacts
from thresher.models import PlainFormat
from thresher.models.tokenizer import Tokenizer
from thresher.pipeline.asking import AskingOptions
from thresher.pipeline.listing import Places, list_documents
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.preparing import ContentsUnderWay, Prepared
from thresher.pipeline.progress import Progress
from thresher.pipeline.stage_times import StageTimes
from thresher.pipeline.stages import prepared_documents, reader_pool
from thresher.pipeline.subject import open_subject
from thresher.planning import DocumentCounts
from thresher.tasks import Task

#: Documents are counted whole and by themselves; what a task adds to each is not known.
_ANY_TASK = Task(["yes", "no"])
_NO_LIMIT_TOKENS = 1 << 40
_BATCH_DOCUMENTS, _BATCH_TOKENS = 1_000, 1_000_000


def count_documents(
    places: Places, tokenizer: Tokenizer, options: ClassifyOptions, progress: Progress
) -> DocumentCounts:
    """Read and tokenize the documents of ``places``; nothing is stored.

    Raises:
        InputError: an input is wrong, or there is no document.
    """
    brings_its_own = not isinstance(places, Frame) and batch_files(places)
    subject, _ = open_subject(places, None if brings_its_own else _ANY_TASK, options, ())
    asking, _ = subject.asking(
        AskingOptions(
            tokenizer=tokenizer,
            chat=PlainFormat(bos_token="", add_bos=False),
            context_tokens=_NO_LIMIT_TOKENS,
            long_policy="head",
        )
    )
    stop, times, tally = threading.Event(), StageTimes(), _Tally()
    with (
        tempfile.TemporaryDirectory(prefix="thresher-plan-") as folder,
        JobStore.open(Path(folder)) as store,
        reader_pool(options) as pool,
    ):
        store.begin_run(_nothing_run(subject.inputs.names()))
        list_documents(store, subject.inputs.items(pool), progress, stop)
        items = subject.inputs.items_to_read(pool)
        under_way = ContentsUnderWay(store)
        with prepared_documents(
            items, store, pool, tokenizer, asking, under_way, times, stop, batch_tokens=_BATCH_TOKENS
        ) as queue:
            while batch := queue.get(_BATCH_DOCUMENTS, _BATCH_TOKENS):
                for prepared in batch:
                    tally.add(prepared)
    return tally.counts()


class _Tally:
    """Adds up what goes by."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()
        self._longest = 0

    def add(self, prepared: Prepared) -> None:
        self._found["documents"] += 1
        if prepared.read.unreadable_reason is not None or (prepared.failure and prepared.place is None):
            self._found["unreadable"] += 1
        elif prepared.place is None:
            self._found["duplicates"] += 1
        tokens = prepared.document_tokens
        self._found["tokens"] += tokens
        self._found["squared"] += tokens * tokens
        self._longest = max(self._longest, tokens)

    def counts(self) -> DocumentCounts:
        return DocumentCounts(
            documents=self._found["documents"],
            duplicates=self._found["duplicates"],
            unreadable=self._found["unreadable"],
            tokens=self._found["tokens"],
            longest_tokens=self._longest,
            squared_tokens=self._found["squared"],
        )


def _nothing_run(inputs: tuple[str, ...]) -> RunFacts:
    """A run that scores nothing, for a store that is thrown away."""
    return RunFacts(
        task="plan",
        task_fingerprint="",
        questions=("any",),
        model="",
        model_fingerprint="",
        engine="",
        precision="",
        context_tokens=_NO_LIMIT_TOKENS,
        long_policy="head",
        parser_version="",
        inputs=inputs,
        labels={},
        kinds={},
    )
