from __future__ import annotations

import multiprocessing
import os
import threading

import pytest

import thresher
from tests.conftest import MODEL
from thresher.errors import EngineCapacityError, EngineUnavailableError
from thresher.tasks import Question


def test_each_text_and_question_has_its_row_in_order() -> None:
    task = thresher.Task(
        questions=[
            Question(name="kind", labels=["invoice", "contract"]),
            Question(name="tags", kind="multi", labels=["urgent", "signed"]),
        ]
    )
    rows = thresher.classify_texts(["pay now", "", "pay now", "we agree"], task, model=MODEL, engine="fake")
    assert [(row.document_id, row.question) for row in rows] == [
        (str(number), name) for number in range(4) for name in ("kind", "tags")
    ]
    assert [row.status for row in rows] == ["ok", "ok", "unreadable", "unreadable", "ok", "ok", "ok", "ok"]
    assert rows[0].label == rows[4].label
    assert (rows[2].label, rows[2].probability, rows[2].error) == (None, None, "the text is empty")


@pytest.mark.parametrize(
    ("policy", "status"),
    [("head-tail", "truncated"), ("head", "truncated"), ("windows", "ok"), ("skip", "oversize")],
)
def test_long_texts(policy: thresher.pipeline.LongPolicy, status: str) -> None:
    task = thresher.Task(["a", "b"])
    [row] = thresher.classify_texts(["word " * 900], task, model=MODEL, engine="fake", context=300, long=policy)
    assert (row.status, row.context, row.label is None) == (status, 300, status == "oversize")
    assert (row.truncated_tokens > 0) == (status == "truncated")


def test_more_texts_than_the_engine_takes_at_a_time() -> None:
    texts = [f"document {number}" for number in range(600)]
    rows = thresher.classify_texts(texts, thresher.Task(["a", "b"]), model=MODEL, engine="fake")
    assert [row.document_id for row in rows] == list(map(str, range(600)))
    alone = thresher.classify_texts(texts[333:334], thresher.Task(["a", "b"]), model=MODEL, engine="fake")
    assert rows[333].probabilities == alone[0].probabilities


def test_threads_share_the_engine() -> None:
    task = thresher.Task(["a", "b"])
    found: list[list[str]] = []

    def label() -> None:
        rows = thresher.classify_texts([f"text {n}" for n in range(50)], task, model=MODEL, engine="fake")
        found.append([str(row.label) for row in rows])

    threads = [threading.Thread(target=label) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(labels == found[0] for labels in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_is_told_instead_of_hanging() -> None:
    task = thresher.Task(["a", "b"])
    thresher.classify_texts(["text"], task, model=MODEL, engine="fake")
    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(EngineUnavailableError, match="'spawn'"):
        pool.apply(_label_in_a_fork, (task,))
    thresher.classify_texts(["text"], task, model=MODEL, engine="fake")


def _label_in_a_fork(task: thresher.Task) -> None:
    thresher.classify_texts(["text"], task, model=MODEL, engine="fake")


def test_memory_for_weights_reaches_the_engine() -> None:
    pytest.importorskip("torch")
    with pytest.raises(EngineCapacityError, match="the least is two of the largest layers"):
        thresher.classify_texts(
            ["text"], thresher.Task(["a", "b"]), model="demo", engine="native", weights_memory_bytes=9
        )
