"""Gold labels, matched to the rows that they judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from thresher.errors import InputError
from thresher.evaluation.question import QuestionFacts
from thresher.evaluation.run_together import check_joined, one_label_only
from thresher.gold import gold_labels, labels_run_together
from thresher.suggestions import did_you_mean
from thresher.types import Prediction

_NAMED = 5
#: A few labels that are none of the task's may be documents it does not foresee; so many are a wrong column.
_TELLING_DOCUMENTS = 20
#: CSV exports put a quote before what could start a formula; an id that was read back has it still.
_QUOTE = "'"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldLabel:
    """The right answer to one question about one document."""

    document: str  # its document_id, or its path
    question: str
    written: str  # as tables write it; see thresher.gold


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row whose right answer is known."""

    row: Prediction
    gold: tuple[str, ...]  # one label, or for ``multi`` any number; none where no label of the question fits

    @property
    def said(self) -> tuple[str, ...] | None:
        """The labels given; None where there is none (abstained, failed)."""
        return (self.row.label,) if isinstance(self.row.label, str) else self.row.label

    @property
    def right(self) -> bool:
        """Whether exactly the gold labels were given."""
        return self.said is not None and set(self.said) == set(self.gold)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldReport:
    """What became of the gold labels of one question."""

    source: str  # where they are from
    given: int  # documents with a gold label
    matched: int  # of them, found among the job's rows
    rows: int  # of the job, for this question
    unmatched: tuple[str, ...] = ()  # the first few that were not found
    conflicting: tuple[str, ...] = ()  # documents given several times with different labels; they are left out
    queues: Mapping[str, int] = field(default_factory=dict)  # of reviews: how the document came up -> documents
    unknown_labels: Mapping[str, int] = field(default_factory=dict)  # labels that are none of the task's -> documents
    none_fits: int = 0  # documents that fit none of the labels, where a document has one
    run_together: tuple[str, ...] = ()  # the first few of them that name several, where a document has one


class GoldTable:
    """The gold labels of all questions, by document."""

    def __init__(
        self,
        labels: Iterable[GoldLabel],
        questions: Iterable[QuestionFacts],
        source: str,
        queues: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self.source = source
        self._queues = queues or {}
        self._questions = {question.name: question for question in questions}
        self._gold: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in self._questions}
        self._conflicting: dict[str, dict[str, None]] = {name: {} for name in self._questions}
        self._matched: dict[str, set[str]] = {name: set() for name in self._questions}
        self._rows: Counter[str] = Counter()
        for label in labels:
            self._add(label)

    def _add(self, label: GoldLabel) -> None:
        question = self._questions.get(label.question)
        if question is None:
            raise InputError(
                f"{self.source} has gold labels for the question {label.question!r}, which the job does not ask"
                f"{did_you_mean(label.question, self._questions)}; it asks {', '.join(self._questions)}"
            )
        named = gold_labels(label.written, question.kind)
        if question.is_multi:
            check_joined(label.written, named, question, f"{self.source}, document {label.document!r}")
        known = self._gold[question.name].setdefault(label.document, named)
        if set(known) != set(named):
            self._conflicting[question.name][label.document] = None

    def given(self) -> int:
        """How many documents have a gold label, summed over the questions."""
        return sum(map(len, self._gold.values()))

    def judge(self, row: Prediction) -> Judged | None:
        """The row with its gold label; None where there is none, or where there are several that differ."""
        self._rows[row.question] += 1
        gold = self._gold.get(row.question, {})
        key = next((key for key in _keys(row) if key in gold), None)
        if key is None:
            return None
        self._matched[row.question].add(key)
        return None if key in self._conflicting[row.question] else Judged(row=row, gold=gold[key])

    def report(self, name: str) -> GoldReport:
        """What became of a question's gold labels, once all rows were judged."""
        question, gold, matched = self._questions[name], self._gold[name], self._matched[name]
        conflicting = self._conflicting[name]
        unknown = Counter(
            label
            for document in matched
            if question.labels and document not in conflicting
            for label in gold[document]
            if label not in question.labels
        )
        return GoldReport(
            source=self.source,
            given=len(gold),
            matched=len(matched),
            rows=self._rows[name],
            unmatched=_first(document for document in gold if document not in matched),
            conflicting=tuple(conflicting),
            queues=dict(self._queues.get(name, {})),
            unknown_labels=dict(unknown.most_common()),
            none_fits=0 if question.is_multi else sum(not gold[d] for d in matched if d not in conflicting),
            run_together=_first(name for name in unknown if len(labels_run_together(name, question.labels)) > 1),
        )

    def check(self) -> None:
        """Raise ``InputError`` where nothing can be judged: no document is found, or of many no label is the task's."""
        for name, question in self._questions.items():
            report = self.report(name)
            if report.given and not report.matched:
                raise InputError(
                    f"none of the {report.given} documents in {self.source} is in the job; the first is "
                    f"{report.unmatched[0]!r}: give the document_id as 'thresher export' writes it, or the path"
                )
            judged = {label for document in self._matched[name] for label in self._gold[name][document]}
            telling = report.matched >= _TELLING_DOCUMENTS and question.labels and judged
            if telling and not judged & set(question.labels):
                first = next(iter(report.unknown_labels), next(iter(judged)))
                raise InputError(
                    f"none of the gold labels in {self.source} is a label of {name!r}; the most frequent is {first!r}"
                    f"{did_you_mean(first, question.labels)} (labels: {', '.join(question.labels[:20])})"
                    f"{one_label_only(name, report.run_together)}"
                )


def _keys(row: Prediction) -> Iterable[str]:
    return (row.document_id, row.source, _QUOTE + row.document_id)


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, _ in zip(names, range(_NAMED), strict=False))
