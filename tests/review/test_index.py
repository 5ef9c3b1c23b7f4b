"""The index of rows: what it takes over, in which order it gives it, what a search finds."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.review_jobs import KIND, TAGS, Told, add_results, facts_of, make_job, names, plain_documents
from thresher.errors import UsageError
from thresher.jobs import JobStore, JobView, ListedDocument, NewDecision, ReviewLog
from thresher.review.filters import Filters, words_query
from thresher.review.index import ReviewIndex
from thresher.review.index_file import INDEX_NAME
from thresher.review.rows import Row, Rows
from thresher.tasks import Question, Task


@contextlib.contextmanager
def indexed(job: Path) -> Iterator[tuple[Rows, ReviewLog]]:
    """The rows of a job with all its texts in the index."""
    with ReviewLog.open(job) as log, ReviewIndex(job, log.seed) as index:
        with JobView.open(job) as view:
            index.refresh(view)
            assert index.index_texts(view, 60)
        with contextlib.closing(Rows(job)) as rows:
            yield rows, log


def refresh(job: Path, log: ReviewLog) -> None:
    with ReviewIndex(job, log.seed) as index, JobView.open(job) as view:
        index.refresh(view)


def skip(log: ReviewLog, row: Row, label: str | None = None) -> None:
    new = NewDecision(
        question=row.question, subject=row.subject, document_id=row.document_id, action="correct" if label else "skip",
        label=label, model_label=row.label, queue="random", run_fingerprint="f", reviewer="ada",
    )  # fmt: skip
    assert log.decide(new, seen=0).stored


@pytest.mark.parametrize("order", ["doubtful", "random", "listed"])
def test_pages_have_every_row_once_in_order(tmp_path: Path, order: str) -> None:
    documents = plain_documents(30) | {
        f"same {n}": Told(text=f"same {n}", probabilities={"kind": {"invoice": 0.5}}) for n in range(5)
    }
    documents["broken"] = Told(status="unreadable", error="damaged")
    with indexed(make_job(tmp_path / "job", documents)) as (rows, _):
        filters = Filters(question="kind", order=order)
        found: list[Row] = []
        while page := rows.page(filters, 4, after=found[-1] if found else None):
            found += page
        assert sorted(names(found)) == sorted(documents)
        assert rows.count(filters) == len(documents)
        if order == "doubtful":
            confidences = [row.confidence for row in found if row.confidence is not None]
            assert confidences == sorted(confidences)
            assert found[-1].document_id == "broken"
        elif order == "listed":
            assert names(found) == list(documents)
        else:
            assert [row.key for row in found] == sorted(row.key for row in found)


def test_a_refresh_takes_over_what_changed(tmp_path: Path) -> None:
    documents = plain_documents(3)
    job = make_job(tmp_path / "job", documents)
    with indexed(job) as (rows, log):
        before = {row.document_id: row for row in rows.page(Filters(question="kind"), 9)}
        with JobStore.open(job) as store:
            store.begin_run(facts_of(Task(name="kind", questions=[KIND])))
            with store.listing() as add:  # one is gone, one is new
                listed = ["letter-002.txt", "new.txt", "letter-000.txt"]
                add(ListedDocument(document_id=name, source=f"/in/{name}", size_bytes=1, mtime_ns=1) for name in listed)
            add_results(store, {"new.txt": Told()})
            refresh(job, log)
            after = {row.document_id: row for row in rows.page(Filters(question="kind", order="listed"), 9)}
            assert list(after) == listed
            assert after["letter-000.txt"].key == before["letter-000.txt"].key
            store.begin_run(facts_of(Task(name="kind", questions=[KIND]), model="another"))
            refresh(job, log)
            assert rows.page(Filters(question="kind"), 9) == []
            store.begin_run(facts_of(Task(name="kind", questions=[KIND])))
            refresh(job, log)
            assert len(rows.page(Filters(question="kind"), 9)) == 3


def test_an_index_of_another_version_or_damaged_is_made_anew(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", plain_documents(2))
    with indexed(job):
        pass
    connection = sqlite3.connect(job / INDEX_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with indexed(job) as (rows, _):
        assert rows.count(Filters(question="kind")) == 2
    (job / INDEX_NAME).write_bytes(b"damaged" * 2000)
    with indexed(job) as (rows, _):
        assert rows.count(Filters(question="kind")) == 2


def test_decisions_lost_with_their_file_take_the_random_order_with_them(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", plain_documents(5))
    with indexed(job) as (rows, log):
        before, seed = {row.key for row in rows.page(Filters(question="kind"), 9)}, log.seed
    for file in job.glob("reviews.sqlite*"):
        file.unlink()
    with indexed(job) as (rows, log):
        assert log.seed != seed
        assert not before & {row.key for row in rows.page(Filters(question="kind"), 9)}


def test_filters_of_every_kind(tmp_path: Path) -> None:
    documents = {
        "one": Told(probabilities={"tags": {"signed": 0.9}}),
        "two": Told(probabilities={"tags": {"signed": 0.9, "old": 0.8}}),
        "none": Told(),
        "big": Told(status="oversize", error="too long"),
    }
    with indexed(make_job(tmp_path / "job", documents, (KIND, TAGS))) as (rows, log):

        def found(**filters: object) -> set[str]:
            return set(names(rows.page(Filters(question="tags", **filters), 9)))  # type: ignore[arg-type]

        assert found(label="signed") == {"one", "two"}
        assert found(label="old") == {"two"}
        assert found(label="sign") == set()
        assert found(status="oversize") == {"big"}
        assert found(low=50, high=70) == {"two"}
        assert found(low=0, high=99) == {"one", "two", "none"}
        row = rows.page(Filters(question="tags", label="old"), 1)[0]
        skip(log, row)
        assert found(state="skipped") == {"two"}
        assert found() == {"one", "none", "big"}
        assert found(state="all") == set(documents)


def test_a_label_that_ends_like_another_in_quotes_is_not_taken_for_it(tmp_path: Path) -> None:
    question = Question(name="tags", kind="multi", labels=["a", 'the "a"'])
    documents = {
        "quoted": Told(probabilities={"tags": {'the "a"': 0.9}}),
        "bare": Told(probabilities={"tags": {"a": 0.9}}),
    }
    with indexed(make_job(tmp_path / "job", documents, [question])) as (rows, _):
        assert names(rows.page(Filters(question="tags", label="a"), 9)) == ["bare"]
        assert names(rows.page(Filters(question="tags", label='the "a"'), 9)) == ["quoted"]


def test_a_decision_about_one_copy_is_one_about_all(tmp_path: Path) -> None:
    documents = {name: Told(text="the same") for name in ("a", "b", "c")} | {"d": Told()}
    with indexed(make_job(tmp_path / "job", documents)) as (rows, log):
        row = rows.page(Filters(question="kind", order="listed"), 1)[0]
        assert rows.same_content(row) == 3
        skip(log, row, "invoice")
        assert names(rows.page(Filters(question="kind"), 9)) == ["d"]
        assert rows.counts("kind").corrected == 3


def test_the_sample_ends_at_its_first_gap(tmp_path: Path) -> None:
    with indexed(make_job(tmp_path / "job", plain_documents(9))) as (rows, log):
        order = rows.page(Filters(question="kind", order="random"), 9)
        assert rows.sampled("kind") == 0
        for row in (order[0], order[1], order[3]):
            skip(log, row, "invoice")
        skip(log, order[2])
        assert rows.sampled("kind") == 2
        log.undo(log.last_of("ada").decision_id, "ada")  # type: ignore[union-attr]
        skip(log, order[2], "invoice")
        assert rows.sampled("kind") == 4
        for row in order[4:]:
            skip(log, row, "invoice")
        assert rows.sampled("kind") == 9


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_words_break_a_search(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='unicode61 remove_diacritics 2')"
    )
    query = words_query(text)
    if query:
        connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (query,)).fetchall()
    connection.close()


def test_filters_survive_their_own_query() -> None:
    for state, order in itertools.product(("open", "all"), ("doubtful", "random")):
        filters = Filters(question="a&b", state=state, order=order, label="x=y +", text='"é" 合', low=3, tab="t")
        query = dict(pair.split("=", 1) for pair in filters.to_query().split("&"))
        read = {name: unquote_plus(value) for name, value in query.items()}
        assert Filters.of_query(read, ["a&b", "c"]) == filters
    with pytest.raises(UsageError, match="did you mean"):
        Filters.of_query({"state": "opem"}, ["a"])


def test_what_a_decision_came_from() -> None:
    usual = Filters(question="a")
    assert usual.queue == "doubtful"
    assert usual.but(order="random", tab="x").queue == "random"
    assert usual.but(order="random", text="word").queue == "picked"
    assert usual.but(order="random", state="all").queue == "picked"
    assert usual.but(order="listed").queue == "picked"
    assert usual.but(low=10).queue == "picked"
