"""What the overview tells of labels and corrections."""

from __future__ import annotations

from pathlib import Path

from tests.review.test_index import indexed
from tests.support.review_jobs import KIND, MANY, TAGS, Told, make_job
from thresher.jobs import NewDecision, ReviewedLabel, ReviewLog
from thresher.review.charts import Bar, LabelChanges, corrections, distribution
from thresher.review.filters import Filters
from thresher.review.rows import Rows
from thresher.types import FAILURE_STATUSES


def decide(rows: Rows, log: ReviewLog, question: str, document: str, label: ReviewedLabel) -> None:
    row = next(row for row in rows.page(Filters(question=question), 99) if row.document_id == document)
    action = "accept" if label == row.label else "correct"
    new = NewDecision(
        question=question, subject=row.subject, document_id=document, action=action, label=label,  # type: ignore[arg-type]
        model_label=row.label, queue="doubtful", run_fingerprint="f", reviewer="ada",
    )  # fmt: skip
    assert log.decide(new, seen=0).stored


def test_the_distribution_counts_every_row_once(tmp_path: Path) -> None:
    documents = {str(n): Told(probabilities={"kind": {"invoice" if n else "legal/work": 0.8}}) for n in range(4)}
    documents |= {
        "unsure": Told(status="abstained"),
        "big": Told(status="oversize", error="long"),
        "broken": Told(status="unreadable", error="damaged"),
    }
    with indexed(make_job(tmp_path / "job", documents)) as (rows, _):
        found = distribution(rows, "kind", KIND.label_names, frozenset(FAILURE_STATUSES))
        assert found.bars == (
            Bar("invoice", 3, 100.0, 0.6), Bar("legal/work", 1, 100 / 3, 0.2), Bar("legal/lease", 0, 0.0, 0.0),
        )  # fmt: skip
        assert (found.none, dict(found.failures), found.rest_labels) == (1, {"oversize": 1, "unreadable": 1}, 0)
        assert sum(rows.summary().of("kind").confidences) == 5


def test_more_labels_than_can_be_drawn_are_summed_up(tmp_path: Path) -> None:
    documents = {str(n): Told(probabilities={"country": {MANY.label_names[n]: 0.8}}) for n in range(50)}
    with indexed(make_job(tmp_path / "job", documents, [MANY])) as (rows, log):
        found = distribution(rows, "country", MANY.label_names, frozenset(FAILURE_STATUSES))
        assert (len(found.bars), found.rest_labels, found.rest_rows) == (30, 90, 20)
        for n in range(14):
            decide(rows, log, "country", str(n), MANY.label_names[n + 60 if n else 0])
        found_pairs = corrections(rows, "country", multi=False, labels=MANY.label_names)
        assert found_pairs.matrix is None
        assert len(found_pairs.pairs) == 13  # the one that was right is none
        assert ("country 003", "country 063", 1) in found_pairs.pairs


def test_corrections_as_a_matrix_and_by_label(tmp_path: Path) -> None:
    told = Told(probabilities={"kind": {"invoice": 0.9}, "tags": {"signed": 0.9, "old": 0.9}})
    with indexed(make_job(tmp_path / "job", dict.fromkeys("abc", told), (KIND, TAGS))) as (rows, log):
        assert corrections(rows, "kind", multi=False, labels=KIND.label_names).matrix is None
        for document, label in zip("abc", ("invoice", "legal/work", "legal/work"), strict=True):
            decide(rows, log, "kind", document, label)
        matrix = corrections(rows, "kind", multi=False, labels=KIND.label_names).matrix
        assert matrix is not None
        assert matrix.labels == ("legal/work", "invoice")  # in the order of the task
        assert matrix.counts == ((0, 0), (2, 1))
        assert [matrix.shade(count) for count in (0, 1, 2)] == [0, 2, 4]
        decide(rows, log, "tags", "a", ("secret", "old"))
        decide(rows, log, "tags", "b", ("signed", "old"))
        assert corrections(rows, "tags", multi=True, labels=TAGS.label_names).changes == (
            LabelChanges(label="secret", kept=0, removed=0, added=1),
            LabelChanges(label="signed", kept=1, removed=1, added=0),
            LabelChanges(label="old", kept=2, removed=0, added=0),
        )
