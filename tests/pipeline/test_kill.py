"""``kill -9`` at random moments loses nothing, repeats nothing and leaves no process behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.pipeline.killed_run import BATCH_REQUESTS
from thresher.jobs import JobView
from thresher.types import Prediction

KILLS = 20
DOCUMENTS = 600
_PROGRAM = Path(__file__).with_name("killed_run.py")


def start(inputs: Path, job: Path, log: Path, model: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(_PROGRAM), str(inputs), str(job), str(log), model]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert out.split() == [str(DOCUMENTS), "0"]


def rows(job: Path) -> list[Prediction]:
    with JobView.open(job) as view:
        return list(view.rows())


def workers_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=60)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.timeout(600)
def test_twenty_kills_and_a_last_run_give_the_rows_of_an_uninterrupted_one(tmp_path: Path, model: str) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(DOCUMENTS):
        distinct = number - 1 if number % 50 == 0 else number  # a few duplicates
        (inputs / f"{number:04}.txt").write_text(
            f"Document {distinct}. " + "A few words of text. " * (distinct % 37 + 1)
        )
    finish(start(inputs, tmp_path / "whole", tmp_path / "whole.log", model))
    expected = rows(tmp_path / "whole")
    distinct_contents = len({row.content_sha256 for row in expected})
    assert (tmp_path / "whole.log").read_text().count("\n") == distinct_contents

    random_moment = random.Random(20)
    job, log = tmp_path / "killed", tmp_path / "killed.log"
    survivors: list[psutil.Process] = []
    kills_at_work = 0
    for _ in range(KILLS):
        scored_before = log.stat().st_size if log.exists() else 0
        process = start(inputs, job, log, model)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:  # let it begin its work, then a random while
            if log.exists() and log.stat().st_size > scored_before:
                break
            time.sleep(0.01)
        time.sleep(random_moment.uniform(0.0, 0.12))
        survivors += psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        kills_at_work += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    finish(start(inputs, job, log, model))

    assert kills_at_work == KILLS, "the work ended before the kills did: make it longer"
    assert [(r.document_id, r.label, r.probabilities, r.status) for r in rows(job)] == [
        (r.document_id, r.label, r.probabilities, r.status) for r in expected
    ]
    redone = log.read_text().count("\n") - distinct_contents
    assert 0 <= redone <= KILLS * BATCH_REQUESTS
    assert workers_of(survivors) == []
