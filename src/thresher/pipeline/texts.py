"""Texts in memory -> predictions, with no job on disk; reading, fitting and asking are the pipeline's own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from thresher.documents import hash_text
from thresher.engines import EngineInfo
from thresher.pipeline.admission import Admission, Admitted, LongPolicy
from thresher.pipeline.answering import Answered, Answering, Windows, answered_status
from thresher.pipeline.kept_engine import KEPT, OpenEngine
from thresher.pipeline.opening import References
from thresher.pipeline.options import ClassifyOptions
from thresher.tasks import Task, TaskPrompt, Verdict
from thresher.types import Failure, Prediction

_TOKENIZED_AT_A_TIME = 256
_NO_TEXT = Failure(status="unreadable", reason="the text is empty")


def classify_texts(
    texts: Sequence[str],
    task: Task,
    *,
    model: References,
    engine: str = "auto",
    precision: str = "auto",
    context: int | None = None,
    long: LongPolicy = "head-tail",
    threads: int | None = None,
    device: str | None = None,
    weights_memory_bytes: int | None = None,
) -> list[Prediction]:
    """Label texts in memory; nothing is stored. For files, and for what must survive a crash: ``classify``.

    The engine stays open for the next call with the same model; :func:`close_engine` frees it.

    Args:
        texts: the documents.
        task: what to ask.
        model: ``"demo"``, a ``.gguf`` file, ``"owner/repo[:QUANT]"`` on the hub, or the address of a server that runs
            (``"http://..."``), or several.
        engine: a name that ``thresher engines`` lists, or ``"auto"``.
        precision: what the engine computes in; ``"auto"`` is the weights' own.
        context: the largest prompt in tokens; the default is the model's own, cut to what the memory allows.
        long: what to do with longer texts: ``"head-tail"``, ``"head"``, ``"windows"`` or ``"skip"``.
        threads: CPU threads of the engine.
        device: where the engine computes, e.g. ``"cpu"``.
        weights_memory_bytes: memory for weights; the engine ``native`` streams what does not fit.

    Returns:
        One prediction for each text and question, in their order; ``document_id`` is the position of the text. What
        could not be labelled is a failure among them, with its reason.

    Raises:
        UsageError: something asked for cannot be done; the message says how to mend it.
        ModelError, EngineError: the engine could not start or go on.
    """
    options = ClassifyOptions(
        engine=engine,
        precision=precision,
        context_tokens=context,
        long_policy=long,
        threads=threads,
        device=device,
        weights_memory_bytes=weights_memory_bytes,
    )
    with text_labelling(task, model, options) as labelling:
        return labelling.predictions(texts)


def close_engine() -> None:
    """Free the engine that ``classify_texts`` and ``ThresherClassifier`` keep open. Safe twice."""
    KEPT.close()


@contextlib.contextmanager
def text_labelling(task: Task, model: References, options: ClassifyOptions) -> Iterator[TextLabelling]:
    """Everything open to label texts, for the caller alone until the block ends.

    Raises:
        UsageError, ModelError, EngineError: as :func:`classify_texts`.
    """
    with KEPT.lend(model, options) as opened:
        task_prompt, admission = opened.outfit(task, options.long_policy)
        yield TextLabelling(opened, task_prompt, admission)


class TextLabelling:
    """A task and an open engine."""

    def __init__(self, opened: OpenEngine, task_prompt: TaskPrompt, admission: Admission) -> None:
        self._engine = opened.engine
        self._task_prompt = task_prompt
        self._admission = admission
        self._answering = Answering(opened.engine)
        #: What a user should know before trusting the labels.
        self.notices = (*opened.notices, *task_prompt.notices)

    @property
    def info(self) -> EngineInfo:
        """What the engine is."""
        return self._engine.info

    def predictions(self, texts: Sequence[str]) -> list[Prediction]:
        """As :func:`classify_texts`. Equal texts are read once."""
        of_texts: dict[str, list[Prediction]] = {}
        distinct = list(dict.fromkeys(texts))
        for start in range(0, len(distinct), _TOKENIZED_AT_A_TIME):
            of_texts |= self._label(distinct[start : start + _TOKENIZED_AT_A_TIME])
        return [
            replace(prediction, document_id=str(position))
            for position, text in enumerate(texts)
            for prediction in of_texts[text]
        ]

    def _label(self, texts: Sequence[str]) -> dict[str, list[Prediction]]:
        admitted = dict(zip(texts, self._admission.admit_texts(texts), strict=True))
        outcomes: dict[str, Answered | Failure] = {}
        to_read: list[tuple[str, Windows]] = []
        for text, (_, reading) in admitted.items():
            if not text.strip():
                outcomes[text] = _NO_TEXT
            elif isinstance(reading, Failure):
                outcomes[text] = reading
            else:
                to_read.append((text, reading.windows))
        for batch in self._batches(to_read):
            asked = [(text, self._task_prompt, windows) for text, windows in batch]
            outcomes |= dict(self._answering.ask(asked))
        return {text: self._rows(text, *admitted[text], outcomes[text]) for text in texts}

    def _batches(self, documents: Iterable[tuple[str, Windows]]) -> Iterator[list[tuple[str, Windows]]]:
        """As many at a time as the engine likes to be given."""
        info, batch, tokens = self.info, list[tuple[str, Windows]](), 0
        for document in documents:
            size = sum(map(len, document[1]))
            if batch and (len(batch) >= info.batch_requests or tokens + size > info.batch_tokens):
                yield batch
                batch, tokens = [], 0
            batch.append(document)
            tokens += size
        if batch:
            yield batch

    def _rows(
        self, text: str, document_tokens: int, reading: Admitted | Failure, outcome: Answered | Failure
    ) -> list[Prediction]:
        info = self.info
        row = Prediction(
            document_id="",
            source="",
            question="",
            status="ok",
            document_tokens=document_tokens if self._admission.counts_tokens else None,
            truncated_tokens=reading.truncated_tokens if isinstance(reading, Admitted) else 0,
            context=info.largest_request_tokens or None,
            model=info.model,
            engine=info.engine,
            precision=info.precision,
            content_sha256=hash_text(text),
        )
        if isinstance(outcome, Failure):
            questions = [question.name for question in self._task_prompt.questions]
            return [replace(row, question=name, status=outcome.status, error=outcome.reason) for name in questions]
        return [_answered(row, verdict, outcome) for verdict in outcome.verdicts]


def _answered(row: Prediction, verdict: Verdict, answered: Answered) -> Prediction:
    return replace(
        row,
        question=verdict.question,
        status=answered_status(verdict, row.truncated_tokens),
        label=verdict.label,
        probability=verdict.probability,
        probabilities=verdict.probabilities,
        label_mass=verdict.label_mass,
        expected=verdict.expected,
        prompt_tokens=answered.prompt_tokens,
        cached_tokens=answered.cached_tokens,
    )
