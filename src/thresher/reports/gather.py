"""One pass over a job's rows, in memory that does not grow with them."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

from thresher.errors import JobError
from thresher.jobs import JobView, RunFacts
from thresher.reports.facts import (
    NAMED_FAILURES,
    PROBABILITY_BINS,
    FailureGroup,
    LabelAsked,
    QuestionAnswers,
    QuestionAsked,
    ReportFacts,
    Sample,
)
from thresher.reports.samples import Reservoir, excerpt_of
from thresher.reports.wording import without_figures
from thresher.types import LABELLED_STATUSES, Prediction


def gather(view: JobView, *, samples: int = 3) -> ReportFacts:
    """What a report says of the latest run of ``view``, with ``samples`` documents for every label.

    Raises:
        JobError: nothing was begun in the job.
    """
    run = view.run
    if run is None:
        raise JobError(f"nothing was begun in the job {view.folder} yet; there is nothing to report")
    questions = {name: _Question(name, run, samples) for name in run.questions}
    failures = _Failures()
    tokens = _Tokens(run.questions[0])
    for row in view.rows():
        tokens.add(row)
        if row.status in LABELLED_STATUSES:
            questions[row.question].add(row)
        else:
            failures.add(row)
    return ReportFacts(
        job=str(view.folder),
        run=run,
        counts=view.counts(),
        passes=view.passes(),
        preamble=_preamble(run),
        asked=_asked(run),
        answers=tuple(question.answers(view) for question in questions.values()),
        failures=failures.groups(),
        document_tokens=tokens.document_tokens,
        truncated_documents=tokens.truncated_documents,
        truncated_tokens=tokens.truncated_tokens,
    )


def _preamble(run: RunFacts) -> str:
    """What the model is told before several questions."""
    return str(json.loads(run.definition)["instructions"]) if run.definition else ""


def _asked(run: RunFacts) -> tuple[QuestionAsked, ...]:
    """From the definition that the job keeps; a job without one knows the names of its labels only."""
    if not run.definition:
        return tuple(
            QuestionAsked(
                name=name, kind=run.kinds.get(name, "choice"), instructions="", examples=0, abstain_below=None,
                labels=tuple(LabelAsked(name=label, description="") for label in run.labels.get(name, ())),
            )
            for name in run.questions
        )  # fmt: skip
    definition = json.loads(run.definition)
    return tuple(
        QuestionAsked(
            name=question["name"],
            kind=question["kind"],
            instructions=question["instructions"] or "",
            labels=tuple(
                LabelAsked(name=label["name"], description=label["description"] or "") for label in question["labels"]
            ),
            examples=len(question["examples"]),
            abstain_below=question["abstain_below"],
        )
        for question in definition["questions"]
    )


class _Question:
    """Adds up the answers to one question."""

    def __init__(self, name: str, run: RunFacts, samples: int) -> None:
        self._name = name
        self._kind = run.kinds.get(name, "choice")
        self._asked = run.labels.get(name, ())
        self._most = samples
        self._random = Random(0)  # noqa: S311 - a choice of samples, the same on every call
        self._labels: Counter[str] = Counter()
        self._bins = [0] * PROBABILITY_BINS
        self._rows = self._without = self._abstained = self._none = 0
        self._samples: dict[str, Reservoir[Prediction]] = {}

    def add(self, row: Prediction) -> None:
        self._rows += 1
        self._abstained += row.status == "abstained"
        if row.probability is None:
            self._without += 1
        else:
            self._bins[min(int(row.probability * PROBABILITY_BINS), PROBABILITY_BINS - 1)] += 1
        self._none += row.label == ()
        labels = row.label if isinstance(row.label, tuple) else () if row.label is None else (row.label,)
        for label in labels:
            self._labels[label] += 1
            self._samples.setdefault(label, Reservoir(self._most, self._random)).add(row)

    def answers(self, view: JobView) -> QuestionAnswers:
        return QuestionAnswers(
            name=self._name,
            kind=self._kind,
            rows=self._rows,
            label_counts=dict(self._labels.most_common()),
            never_given=tuple(label for label in self._asked if label not in self._labels),
            probability_bins=tuple(self._bins),
            without_probability=self._without,
            abstained=self._abstained,
            none_applies=self._none,
            samples={
                label: tuple(_sample(view, label, row) for row in self._samples[label].chosen)
                for label, _ in self._labels.most_common()
            },
        )


def _sample(view: JobView, label: str, row: Prediction) -> Sample:
    probability = row.probabilities.get(label) if isinstance(row.label, tuple) else row.probability
    text = view.text(row.content_sha256) if row.content_sha256 else None
    excerpt = None if text is None else excerpt_of(text)
    return Sample(document_id=row.document_id, probability=probability, excerpt=excerpt)


class _Failures:
    """Groups failures by status and by reason without its figures."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._last: tuple[str, tuple[str, str]] | None = None

    def add(self, row: Prediction) -> None:
        reason = row.error or ""
        key = (row.status, without_figures(reason))
        if (row.document_id, key) == self._last:  # the same failure, to the next question
            return
        self._last = (row.document_id, key)
        self._counts[key] += 1
        _, documents = self._groups.setdefault(key, (reason, []))
        if len(documents) < NAMED_FAILURES:
            documents.append(row.document_id)

    def groups(self) -> tuple[FailureGroup, ...]:
        return tuple(
            FailureGroup(status=key[0], reason=self._groups[key][0], count=n, documents=tuple(self._groups[key][1]))
            for key, n in self._counts.most_common()
        )


class _Tokens:
    """Adds up what was read; of several questions, one reading counts once."""

    def __init__(self, first_question: str) -> None:
        self._first_question = first_question
        self.document_tokens = self.truncated_documents = self.truncated_tokens = 0

    def add(self, row: Prediction) -> None:
        if row.question != self._first_question:
            return
        self.document_tokens += row.document_tokens or 0
        self.truncated_documents += row.truncated_tokens > 0
        self.truncated_tokens += row.truncated_tokens
