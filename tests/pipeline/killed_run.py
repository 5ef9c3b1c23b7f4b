"""Run as a program by ``test_kill``: a whole ``classify`` whose engine writes down every request it scores."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import thresher
from thresher.engines import EngineInfo, fake
from thresher.types import Request, Scores

BATCH_REQUESTS = 16


class WatchedEngine(fake.FakeEngine):
    """The fake engine in small batches, with the time a real one takes and a log of what it was asked."""

    log: int = -1

    @property
    def info(self) -> EngineInfo:
        return replace(super().info, batch_requests=BATCH_REQUESTS)

    def score(self, requests: Sequence[Request]) -> Iterator[Scores]:
        for scores in super().score(requests):
            os.write(self.log, b"scored\n")
            time.sleep(0.002)
            yield scores


def main() -> None:
    inputs, job, log, model = sys.argv[1:]
    WatchedEngine.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    fake.FakeEngine = WatchedEngine  # type: ignore[misc]
    is_batch = inputs.endswith(".jsonl")
    task = None if is_batch else thresher.Task(["invoice", "contract", "other"])
    run = thresher.classify(Path(inputs), task, model=model, engine="fake", job=job)
    print(run.summary.documents, run.summary.left)


if __name__ == "__main__":
    main()
