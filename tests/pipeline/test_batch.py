"""Runs over batch files: order of reading, and going on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.pipeline.killed_run import BATCH_REQUESTS
from tests.support.batches import mixed_requests, write_batch
from thresher.jobs import JobView
from thresher.pipeline import ClassifyOptions
from thresher.pipeline.batch import BatchInputs
from thresher.types import Prediction

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


def test_members_of_a_group_are_read_after_each_other(tmp_path: Path) -> None:
    batch = write_batch(tmp_path / "batch.jsonl", [*mixed_requests(30), "{broken"])
    inputs = BatchInputs([batch], ClassifyOptions())
    inputs.check()
    listed = [item.document_id for item in inputs]
    read = [item.document_id for item in inputs.in_reading_order()]
    assert sorted(read) == sorted(listed)
    assert listed[:3] == ["kind-0", "money-1", "urgent-2"]
    kinds = [document_id.partition("-")[0] for document_id in read]
    assert kinds == ["kind"] * 10 + ["money"] * 10 + ["urgent"] * 10 + ["batch.jsonl:31"]
