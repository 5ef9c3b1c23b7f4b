"""Runs over batch files: order of reading, and going on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.models.test_chat_template import GEMMA
from tests.pipeline.killed_run import BATCH_REQUESTS
from tests.support.batches import mixed_requests, write_batch
from thresher.documents import ReaderPool
from thresher.jobs import JobView
from thresher.models import open_model, resolve
from thresher.models.chat_template import ChatTemplate
from thresher.pipeline import ClassifyOptions
from thresher.pipeline.asking import AskingOptions, Place
from thresher.pipeline.batch import BatchAsking, BatchInputs
from thresher.tasks.batch import Sharing
from thresher.types import ChatRequest, Failure, Prediction

REQUESTS = 200
_PROGRAM = Path(__file__).with_name("killed_run.py")


def start(batch: Path, job: Path, log: Path, model: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(_PROGRAM), str(batch), str(job), str(log), model]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert out.split() == [str(REQUESTS), "0"]


def rows(job: Path) -> list[Prediction]:
    """The rows, but for the tokens that happened to be cached: a new process reads a prefix anew."""
    with JobView.open(job) as view:
        return [replace(row, cached_tokens=None) for row in view.rows()]


def test_killed_runs_go_on_where_they_stopped(tmp_path: Path, model: str) -> None:
    batch = write_batch(tmp_path / "batch.jsonl", mixed_requests(REQUESTS))
    finish(start(batch, tmp_path / "whole", tmp_path / "whole.log", model))
    job, log = tmp_path / "killed", tmp_path / "killed.log"
    for kill in range(1, 4):
        process = start(batch, job, log, model)
        deadline = time.monotonic() + 60
        while (not log.exists() or log.stat().st_size < 40 * kill * len("scored\n")) and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert len(rows(job)) < REQUESTS, "the work ended before the kills did"
    finish(start(batch, job, log, model))
    assert rows(job) == rows(tmp_path / "whole")
    assert [row.document_id for row in rows(job)] == [line["custom_id"] for line in mixed_requests(REQUESTS)]
    assert log.read_text().count("\n") - REQUESTS <= 3 * BATCH_REQUESTS


GEMMA_CHAT = ChatTemplate(GEMMA, bos_token="<s>", eos_token="</s>", special_tokens=["<end_of_turn>"])


def asking(requests: list[ChatRequest], model: str, **changes: Any) -> BatchAsking:
    sharing = Sharing()
    for one in requests:
        sharing.add(one)
    sharing.settle()
    opened = open_model(resolve(model))
    assert opened.tokenizer is not None
    fields = {"chat": opened.chat, "context_tokens": 200, "long_policy": "head-tail", **changes}
    return BatchAsking(sharing, AskingOptions(tokenizer=opened.tokenizer, **fields))


def placed(asking: BatchAsking, one: ChatRequest, model: str) -> tuple[Place, int]:
    tokenizer = open_model(resolve(model)).tokenizer
    assert tokenizer is not None
    ask = asking.of(one)
    assert not isinstance(ask, Failure), ask
    place, document = ask.place(tokenizer.encode(ask.words(one.text)))
    return place, len(document)


def about_one_document(words: int, *ends: str) -> list[ChatRequest]:
    return [ChatRequest(messages=(("user", "word " * words + end),), labels=("yes", "no")) for end in ends]


def test_a_document_asked_about_twice_is_read_once_where_it_fits(model: str) -> None:
    for words, context in ((100, 200), (180, 260), (2_000, 2_100)):
        requests = about_one_document(words, "Is it long?", "What is its length?")
        place, own = placed(asking(requests, model, context_tokens=context), requests[0], model)
        assert own < 20
        assert len(place.task_prompt.prompt.prefix_tokens) > words


def test_a_message_over_the_context_is_cut_whole_where_little_is_its_own(model: str) -> None:
    over = about_one_document(2_000, "Is it long?", "What is its length?")
    place, own = placed(asking(over, model), over[0], model)
    assert own > 2_000
    assert place.admission.capacity_tokens > 100
    crowded = about_one_document(200, "Is it long? " * 30, "What is its length? " * 30)
    assert placed(asking(crowded, model, context_tokens=260), crowded[0], model)[1] > 200
    roomy = about_one_document(20, "Is it long? " * 80, "What is its length? " * 80)
    assert placed(asking(roomy, model, context_tokens=260), roomy[0], model)[0].task_prompt.prompt.prefix_tokens[10:]


def test_a_prompt_over_the_context_is_a_failure_of_its_requests(model: str) -> None:
    one = ChatRequest(messages=(("system", "word " * 300), ("user", "x")), labels=("a", "b"))
    failure = asking([one], model).of(one)
    assert isinstance(failure, Failure)
    assert failure.status == "oversize"
    assert "leaves no room" in failure.reason


def test_what_the_template_does_with_system_messages_is_said(model: str) -> None:
    plain = ChatRequest(messages=(("user", "x"),), labels=("a", "b"))
    system = ChatRequest(messages=(("system", "Be strict."), ("user", "x")), labels=("a", "b"))
    assert not asking([plain], model, chat=GEMMA_CHAT).notices
    assert not asking([system], model).notices
    assert "put in front of the user's message" in asking([plain, system], model, chat=GEMMA_CHAT).notices[0]
    refused = ChatRequest(messages=(("user", "x"), ("user", "y")), labels=("a", "b"))
    failure = asking([refused], model, chat=GEMMA_CHAT).of(refused)
    assert isinstance(failure, Failure)
    assert "cannot be put to this model" in failure.reason


def test_members_of_a_group_are_read_after_each_other(tmp_path: Path) -> None:
    batch = write_batch(tmp_path / "batch.jsonl", [*mixed_requests(30), "{broken"])
    inputs = BatchInputs([batch], ClassifyOptions())
    inputs.check()
    with ReaderPool(1) as pool:
        listed = [item.document_id for item in inputs.items(pool)]
        read = [item.document_id for item in inputs.items_to_read(pool)]
    assert sorted(read) == sorted(listed)
    assert listed[:3] == ["kind-0", "money-1", "urgent-2"]
    kinds = [document_id.partition("-")[0] for document_id in read]
    assert kinds == ["kind"] * 10 + ["money"] * 10 + ["urgent"] * 10 + ["batch.jsonl:31"]
