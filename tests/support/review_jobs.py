"""Jobs to review, made without a model: what a run would have stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thresher.jobs import Commit, DocumentRead, JobStore, ListedDocument, Result, RunFacts
from thresher.tasks import Question, Task
from thresher.types import Status

KIND = Question(
    name="kind",
    labels={"legal/lease": "rental of property", "legal/work": "terms of work", "invoice": "asks for payment"},
    instructions="Which kind is it?",
)
TAGS = Question(name="tags", kind="multi", labels={"signed": "has a signature", "secret": None, "old": None})
TONE = Question(name="tone", kind="score", instructions="How friendly is it?", score_range=(1, 5))
URGENT = Question(name="urgent", kind="yes_no", instructions="Is it urgent?")
MANY = Question(name="country", labels=[f"country {number:03d}" for number in range(120)])


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the model said of one document."""

    text: str | None = None
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # question -> label -> probability
    status: Status = "ok"
    error: str | None = None
    gold: str | None = None


def content_of(text: str) -> str:
    """The content hash of a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def facts_of(task: Task, **changes: str) -> RunFacts:
    """The facts of a run of ``task``."""
    return RunFacts(
        task=task.name,
        task_fingerprint=task.fingerprint,
        questions=tuple(question.name for question in task.questions),
        model=changes.get("model", "m"),
        model_fingerprint=changes.get("model", "m"),
        engine="fake",
        precision="none",
        context_tokens=1000,
        long_policy="head-tail",
        parser_version="1",
        labels={question.name: question.label_names for question in task.questions},
        kinds={question.name: question.kind for question in task.questions},
        definition=task.canonical_json(),
    )


def make_job(
    folder: Path, documents: Mapping[str, Told], questions: Sequence[Question] = (KIND,), *, store_texts: bool = True
) -> Path:
    """A job of which every document is done; its id is also its text unless it has another."""
    task = Task(name="post", questions=questions) if len(questions) > 1 else Task(name="kind", questions=questions)
    with JobStore.open(folder) as store:
        store.begin_run(facts_of(task))
        with store.listing() as add:
            add(
                ListedDocument(
                    document_id=name, source=f"/in/{name}", size_bytes=1, mtime_ns=1, golds=_golds(told.gold, questions)
                )
                for name, told in documents.items()
            )
        add_results(store, documents, questions, store_texts=store_texts)
    return folder


def _golds(gold: str | None, questions: Sequence[Question]) -> dict[str, str]:
    return {} if gold is None else {question.name: gold for question in questions}


def add_results(
    store: JobStore, documents: Mapping[str, Told], questions: Sequence[Question] = (KIND,), *, store_texts: bool = True
) -> None:
    """Commit what the model said of ``documents``, which are listed already."""
    reads: list[DocumentRead] = []
    results: list[Result] = []
    texts: dict[str, str] = {}
    for name, told in documents.items():
        if told.status == "unreadable":
            reads.append(DocumentRead(document_id=name, unreadable_reason=told.error))
            continue
        text = name if told.text is None else told.text
        content = content_of(text)
        reads.append(DocumentRead(document_id=name, content_sha256=content))
        texts[content] = text
        results += [_result(content, question, told) for question in questions]
    stored = tuple(texts.items()) if store_texts else ()
    store.commit(Commit(reads=tuple(reads), results=tuple(results), texts=stored))


def _result(content: str, question: Question, told: Told) -> Result:
    if told.status in ("oversize", "engine_error"):
        return Result(content_sha256=content, question=question.name, status=told.status, error=told.error)
    given = told.probabilities.get(question.name, {})
    names = question.label_names
    rest = (1 - sum(given.values())) / max(1, len(names) - len(given)) if question.kind != "multi" else 0.1
    probabilities = {name: given.get(name, rest) for name in names}
    if question.kind == "multi":
        label: str | tuple[str, ...] = tuple(name for name, p in probabilities.items() if p >= 0.5)
        probability = 1.0
        for p in probabilities.values():
            probability *= max(p, 1 - p)
    else:
        label = max(probabilities, key=lambda name: probabilities[name])
        probability = probabilities[label]
    return Result(
        content_sha256=content, question=question.name, status=told.status,
        label=None if told.status == "abstained" else label, probability=probability, probabilities=probabilities,
        label_mass=0.9, document_tokens=10,
        expected=sum(int(n) * p for n, p in probabilities.items()) if question.kind == "score" else None,
    )  # fmt: skip


def plain_documents(count: int) -> dict[str, Told]:
    """``count`` documents, number 0 the most doubtful."""
    labels = KIND.label_names
    return {
        f"letter-{number:03d}.txt": Told(
            text=f"Letter number {number} about {labels[number % 3]}, written in spring.",
            probabilities={"kind": {labels[number % 3]: 0.4 + 0.5 * number / max(1, count)}},
        )
        for number in range(count)
    }


def names(rows: Iterable[object]) -> list[str]:
    """The documents of rows."""
    return [str(row.document_id) for row in rows]  # type: ignore[attr-defined]
