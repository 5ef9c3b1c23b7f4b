from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import JobError
from thresher.jobs import (
    Commit,
    Decision,
    DocumentRead,
    JobStore,
    JobView,
    ListedDocument,
    NewDecision,
    Result,
    ReviewedLabels,
    ReviewLog,
    RunFacts,
    export,
    sample_key,
    subject_of,
)
from thresher.jobs.reviews import REVIEWS_NAME
from thresher.types import Prediction

NEW = NewDecision(
    question="kind", subject="c1", document_id="d1", action="correct", label="b", model_label="a", queue="doubtful",
    run_fingerprint="f", reviewer="ada",
)  # fmt: skip
FACTS = RunFacts(
    task="kind", task_fingerprint="t", questions=("kind", "tags"), model="m", model_fingerprint="f", engine="fake",
    precision="none", context_tokens=100, long_policy="head-tail", parser_version="1",
    labels={"kind": ("a", "b"), "tags": ("x", "y")}, kinds={"kind": "choice", "tags": "multi"},
)  # fmt: skip


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Three documents: two of the same content, and one that could not be read."""
    folder = tmp_path / "job"
    content = f"{1:064x}"
    with JobStore.open(folder) as store:
        store.begin_run(FACTS)
        with store.listing() as add:
            add(ListedDocument(document_id=f"d{n}", source=f"/d{n}", size_bytes=1, mtime_ns=1) for n in (1, 2, 3))
        results = (
            Result(content_sha256=content, question="kind", status="ok", label="a", probability=0.6),
            Result(content_sha256=content, question="tags", status="ok", label=("x",), probability=0.6),
        )
        reads = (
            DocumentRead(document_id="d1", content_sha256=content),
            DocumentRead(document_id="d2", content_sha256=content),
            DocumentRead(document_id="d3", unreadable_reason="broken"),
        )
        store.commit(Commit(reads=reads, results=results))
    return folder


@pytest.fixture
def log(job: Path) -> Iterator[ReviewLog]:
    with ReviewLog.open(job) as opened:
        yield opened


def stand(log: ReviewLog, new: NewDecision, seen: int = 0) -> Decision:
    outcome = log.decide(new, seen=seen)
    assert outcome.stored
    assert outcome.standing is not None
    return outcome.standing


def test_a_decision_is_there_after_reopening_with_who_and_when(job: Path) -> None:
    with ReviewLog.open(job) as log:
        stored = stand(log, NEW)
        seed = log.seed
    with ReviewLog.open(job) as log:
        assert log.standing("kind", "c1") == stored
        assert log.seed == seed
    assert (stored.reviewer, stored.queue, stored.label) == ("ada", "doubtful", "b")
    assert stored.decided_at.endswith("+00:00")
    if os.name == "posix":
        for file in job.glob(f"{REVIEWS_NAME}*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_decision_made_meanwhile_is_shown_and_not_overwritten(log: ReviewLog) -> None:
    first = stand(log, NEW)
    outcome = log.decide(replace(NEW, reviewer="bob", label="a", action="accept"), seen=0)
    assert not outcome.stored
    assert outcome.standing == first
    second = stand(log, replace(NEW, reviewer="bob", label="a", action="accept"), seen=first.decision_id)
    assert log.standing("kind", "c1") == second


def test_the_same_decision_sent_twice_is_one(log: ReviewLog) -> None:
    first = stand(log, NEW)
    assert stand(log, NEW) == first


def test_undo_brings_back_what_stood_before(log: ReviewLog) -> None:
    first = stand(log, NEW)
    second = stand(log, replace(NEW, label="a"), seen=first.decision_id)
    assert log.last_of("ada") == second
    assert log.undo(second.decision_id, "ada").standing == first
    assert not log.undo(second.decision_id, "ada").stored  # it does not stand any more
    assert log.undo(first.decision_id, "ada").standing is None
    assert log.last_of("ada") is None
    assert not log.undo(999, "ada").stored


def test_undo_of_a_decision_that_somebody_replaced_is_refused(log: ReviewLog) -> None:
    first = stand(log, NEW)
    second = stand(log, replace(NEW, reviewer="bob", label="a"), seen=first.decision_id)
    outcome = log.undo(first.decision_id, "ada")
    assert (outcome.stored, outcome.standing) == (False, second)
    assert log.last_of("ada") is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("decide"), st.sampled_from(["c1", "c2"]), st.sampled_from(["a", "b"])),
            st.tuples(st.just("undo"), st.sampled_from(["c1", "c2"]), st.just("")),
        )
    )
)
def test_the_log_agrees_with_a_stack_of_labels(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("job")
    JobStore.open(folder).close()
    stacks: dict[str, list[str]] = {"c1": [], "c2": []}
    with ReviewLog.open(folder) as log:
        for what, subject, label in steps:
            standing = log.standing("kind", subject)
            seen = standing.decision_id if standing else 0
            if what == "decide":
                stand(log, replace(NEW, subject=subject, label=label), seen=seen)
                stacks[subject].append(label)
            elif standing:
                assert log.undo(seen, "ada").stored
                stacks[subject].pop()
        found = {key[1]: decision.label for key, decision in ReviewedLabels.of_job(folder).decisions.items()}
    assert found == {subject: labels[-1] for subject, labels in stacks.items() if labels}


def test_many_writers_lose_nothing(job: Path) -> None:
    def work(reviewer: str) -> None:
        with ReviewLog.open(job) as log:
            for number in range(25):
                stand(log, replace(NEW, subject=f"{reviewer}-{number}", reviewer=reviewer))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ada", "bob", "cy", "dee")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ReviewedLabels.of_job(job).decisions) == 100


def test_of_many_who_decide_the_same_row_at_once_one_stands(job: Path) -> None:
    outcomes = []

    def work(reviewer: str) -> None:
        with ReviewLog.open(job) as log:
            outcomes.append(log.decide(replace(NEW, reviewer=reviewer), seen=0))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ada", "bob", "cy", "dee")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.stored for outcome in outcomes) == 1
    assert len({outcome.standing.decision_id for outcome in outcomes if outcome.standing}) == 1


def test_kill_9_loses_no_decision_that_was_acknowledged(job: Path) -> None:
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path\n"
        "from tests.jobs.test_reviews import NEW; from thresher.jobs import ReviewLog\n"
        "log = ReviewLog.open(Path(sys.argv[1]))\n"
        "for n in range(100_000):\n"
        "    log.decide(replace(NEW, subject=f'k{n}'), seen=0); print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(job)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    kept = {subject for _, subject in ReviewedLabels.of_job(job).decisions}
    assert {f"k{n}" for n in acknowledged} <= kept


def test_readers_of_a_job_that_nobody_reviewed_write_nothing(job: Path) -> None:
    reviewed = ReviewedLabels.of_job(job)
    assert (reviewed.seed, dict(reviewed.decisions)) == (None, {})
    assert reviewed.sample_key("d1") is None
    assert not (job / REVIEWS_NAME).exists()


def test_a_decision_holds_for_every_document_of_its_content_and_for_unreadable_ones_alone(
    job: Path, tmp_path: Path
) -> None:
    with ReviewLog.open(job) as log:
        with JobView.open(job) as view:
            rows = {(row.document_id, row.question): row for row in view.rows()}
        content = rows["d1", "kind"].content_sha256
        assert content is not None
        stand(log, replace(NEW, subject=subject_of(content, "d1")))
        stand(log, replace(NEW, question="tags", subject=content, label=("x", "y"), model_label=("x",)))
        stand(log, replace(NEW, subject=subject_of(None, "d3"), document_id="d3", label="a"))
        stand(log, replace(NEW, question="tags", subject=subject_of(None, "d3"), label=None, action="skip"))
    with JobView.open(job) as view:
        assert export(view, tmp_path / "rows.jsonl") == 6
        reviewed = ReviewedLabels.of_job(job)
        found = {(row.document_id, row.question): row.reviewed_label for row in reviewed.beside(view.rows())}
        skipped = reviewed.of(rows["d3", "tags"])
    assert found == {
        ("d1", "kind"): "b", ("d2", "kind"): "b", ("d3", "kind"): "a",
        ("d1", "tags"): ("x", "y"), ("d2", "tags"): ("x", "y"), ("d3", "tags"): None,
    }  # fmt: skip
    assert skipped is not None
    assert skipped.action == "skip"
    assert '"reviewed_label": ["x", "y"]' in (tmp_path / "rows.jsonl").read_text(encoding="utf-8")


def test_exports_of_a_job_that_nobody_reviewed_have_no_such_column(job: Path, tmp_path: Path) -> None:
    with JobView.open(job) as view:
        export(view, tmp_path / "rows.csv")
    assert "reviewed_label" not in (tmp_path / "rows.csv").read_text(encoding="utf-8")


def test_the_random_order_is_uniform_and_depends_on_the_seed_alone() -> None:
    keys = [sample_key("seed", f"document {n}") for n in range(16_000)]
    starts = Counter(key[0] for key in keys)  # 1,000 of each hex digit expected, with a deviation of 31
    assert len(starts) == 16
    assert all(abs(count - 1_000) < 150 for count in starts.values())
    assert len(set(keys)) == len(keys)
    assert sample_key("seed", "a\ud800") == sample_key("seed", "a\ud800") != sample_key("other", "a\ud800")


def test_a_newer_file_and_a_damaged_one_are_refused(job: Path) -> None:
    ReviewLog.open(job).close()
    connection = sqlite3.connect(job / REVIEWS_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for opened in (ReviewLog.open, ReviewedLabels.of_job):
        with pytest.raises(JobError, match="newer version"):
            opened(job)
    for file in job.glob(f"{REVIEWS_NAME}*"):
        file.unlink()
    (job / REVIEWS_NAME).write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(JobError, match=REVIEWS_NAME):
        ReviewLog.open(job)


def test_there_is_no_review_without_a_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="holds no job"):
        ReviewLog.open(tmp_path)


def test_rows_of_a_job_without_decisions_pass_through() -> None:
    row = Prediction(document_id="d", source="/d", question="kind", status="ok", label="a")
    assert list(ReviewedLabels().beside([row])) == [row]
