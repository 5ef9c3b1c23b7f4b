"""Jobs whose rows were never read by a model: labels of known error rates, written straight into the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from thresher.jobs import Commit, DocumentRead, JobStore, ListedDocument, Result, RunFacts
from thresher.types import Status

Shares = Mapping[str, float]


def facts(labels: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> RunFacts:
    return RunFacts(
        task="simulated", task_fingerprint="t", questions=tuple(labels), model="m", model_fingerprint="f",
        engine="fake", precision="none", context_tokens=100, long_policy="head-tail", parser_version="1",
        labels={question: tuple(names) for question, names in labels.items()}, kinds=dict(kinds),
    )  # fmt: skip


def sha(number: int) -> str:
    return f"{number + 1:064x}"


def write_job(
    folder: Path,
    run: RunFacts,
    results: Iterable[Sequence[Result]],
    golds: Sequence[Mapping[str, str]] | None = None,
    unreadable: int = 0,
) -> Path:
    """A job with a document ``d0``, ``d1``, ... for each group of results, and unreadable ones after them."""
    groups = list(results)
    names = [f"d{number}" for number in range(len(groups) + unreadable)]
    listed = [
        ListedDocument(
            document_id=name, source=f"/in/{name}", size_bytes=1, mtime_ns=1, golds=golds[number] if golds else {}
        )
        for number, name in enumerate(names)
    ]
    reads = [DocumentRead(document_id=f"d{number}", content_sha256=sha(number)) for number in range(len(groups))]
    reads += [DocumentRead(document_id=name, unreadable_reason="it is broken") for name in names[len(groups) :]]
    with JobStore.open(folder) as store:
        store.begin_run(run)
        with store.listing() as add:
            add(listed)
        store.commit(Commit(reads=tuple(reads), results=tuple(result for group in groups for result in group)))
    return folder


def result(
    number: int, question: str, label: str | tuple[str, ...] | None, shares: Shares, status: Status = "ok",
    probability: float | None = None, tokens: int = 7, error: str | None = None,
) -> Result:  # fmt: skip
    if probability is None and isinstance(label, str):
        probability = shares[label]
    return Result(
        content_sha256=sha(number), question=question, status=status, label=label, probability=probability,
        probabilities=shares or None, document_tokens=tokens, error=error,
        expected=sum(int(name) * p for name, p in shares.items()) if all(n.isdigit() for n in shares) else None,
    )  # fmt: skip


def simulated_shares(random: np.random.Generator, count: int, labels: Sequence[str], sharpness: float) -> list[Shares]:
    """Probabilities over the labels, the surer the larger the ``sharpness``."""
    logits = random.normal(size=(count, len(labels))) * sharpness
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return [dict(zip(labels, map(float, row), strict=True)) for row in weights]
