"""What a report says, before it is laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from thresher.jobs import JobCounts, PassRecord, RunFacts

#: Bins of the histogram of probabilities, of equal width from 0 to 1.
PROBABILITY_BINS = 20
#: Failures of one reason whose documents are named; of more, the rest is counted.
NAMED_FAILURES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelAsked:
    """A label as the model was told it."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAsked:
    """A question as the model was asked it."""

    name: str
    kind: str
    instructions: str
    labels: tuple[LabelAsked, ...]
    examples: int
    abstain_below: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One document that got a label."""

    document_id: str
    probability: float | None
    excerpt: str | None  # None where the job keeps no texts


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Failures that differ only in their figures."""

    status: str
    reason: str  # of the first of them
    count: int
    documents: tuple[str, ...]  # the first NAMED_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswers:
    """What came out for one question."""

    name: str
    kind: str
    rows: int  # with an answer
    label_counts: Mapping[str, int]  # most frequent first
    never_given: tuple[str, ...]  # labels that no document got
    probability_bins: tuple[int, ...]  # rows by probability; rows without one are not in it
    without_probability: int
    abstained: int
    none_applies: int  # of kind multi: answers without any label
    samples: Mapping[str, tuple[Sample, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """Everything in a report."""

    job: str
    run: RunFacts
    counts: JobCounts
    passes: tuple[PassRecord, ...]
    preamble: str  # what the model is told before several questions
    asked: tuple[QuestionAsked, ...]
    answers: tuple[QuestionAnswers, ...]
    failures: tuple[FailureGroup, ...]
    document_tokens: int  # of documents that were read
    truncated_documents: int
    truncated_tokens: int
