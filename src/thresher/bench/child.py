"""Runs one case in a process of its own and makes a measurement of what it says, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import psutil

from thresher.bench.cases import Case
from thresher.bench.measurement import CaseFailure, Measurement, Repetition

_SAMPLE_S = 0.1
_LAST_WORDS = 400
_STOP_S = 10


def run_case(case: Case, told: Callable[[str], None] = lambda _: None) -> Measurement:
    """Measure ``case``; ``told`` hears of each step in words. Never raises for what happens to the other process."""
    with tempfile.TemporaryFile() as errors, _worker(case, errors) as (process, memory):
        account = _Account(case)
        assert process.stdout is not None  # noqa: S101 - a pipe
        for line in process.stdout:
            told(account.add(json.loads(line)))
        code = process.wait()
        memory.stop()
        return account.measurement(code, memory.peak_bytes, _last_words(errors))


@contextmanager
def _worker(case: Case, errors: IO[bytes]) -> Iterator[tuple[subprocess.Popen[str], _Memory]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "thresher.bench.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8",
    )  # fmt: skip
    memory = _Memory(process.pid)
    try:
        assert process.stdin is not None  # noqa: S101 - a pipe
        process.stdin.write(json.dumps(case.to_json()) + "\n")
        process.stdin.flush()  # and stays open: the worker ends when it closes
        yield process, memory
    finally:
        memory.stop()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


class _Memory:
    """The largest resident set that a process and its descendants had together, sampled."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="thresher-bench-memory", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, self._sample())

    def _sample(self) -> int:
        total = 0
        try:
            for process in (self._process, *self._process.children(recursive=True)):
                total += process.memory_info().rss
        except psutil.Error:  # one of them has just ended
            return total
        return total

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


class _Account:
    """What a worker said so far."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._stated: dict[str, Any] = {}
        self._repetitions: list[Repetition] = []
        self._answers: dict[str, Any] = {"labels": [], "probabilities": [], "reasons": []}
        self._failure: CaseFailure | None = None
        self._device_peak: int | None = None

    def add(self, event: dict[str, Any]) -> str:
        """Take in what was said; returns it in words."""
        kind = event.pop("event")
        if kind == "opened":
            self._stated = event
            return f"opened in {event['load_seconds']:.1f} s"
        if kind == "repetition":
            self._repetitions.append(Repetition(**{**event, "latencies_s": tuple(event["latencies_s"])}))
            rate = self._repetitions[-1].computed_tokens / self._repetitions[-1].seconds
            return f"repetition {len(self._repetitions)} of {self._case.repetitions}: {rate:,.0f} tok/s"
        if kind == "answers":
            self._answers = event
            return ""
        if kind == "failed":
            self._failure = CaseFailure(kind=event["kind"], reason=event["reason"])
            return self._failure.reason
        self._device_peak = event["peak_device_bytes"]
        return ""

    def measurement(self, code: int, peak_bytes: int, last_words: str) -> Measurement:
        """All of it; ``code`` is how the process ended."""
        failure = self._failure or _failure_of(code, last_words) or self._all_failed()
        stated = self._stated
        return Measurement(
            engine=stated.get("engine", self._case.engine),
            precision=stated.get("precision", self._case.precision),
            model=stated.get("model", self._case.models[0]),
            version=stated.get("version", ""),
            device=stated.get("device", ""),
            sweep=self._case.sweep,
            value=self._case.value,
            settings=self._case.settings,
            documents=self._case.documents,
            load_seconds=stated.get("load_seconds"),
            peak_memory_bytes=peak_bytes or None,
            peak_device_bytes=self._device_peak,
            repetitions=() if failure else tuple(self._repetitions),
            labels=() if failure else tuple(self._answers["labels"]),
            probabilities=() if failure else tuple(self._answers["probabilities"]),
            failure=failure,
        )

    def _all_failed(self) -> CaseFailure | None:
        if self._repetitions and all(each.failed == self._case.documents for each in self._repetitions):
            return CaseFailure(kind="engine_error", reason=self._answers["reasons"][0])
        return None


def _failure_of(code: int, last_words: str) -> CaseFailure | None:
    if code == 0:
        return None
    if code == -signal.SIGKILL:
        return CaseFailure(kind="out_of_memory", reason="the system killed it, as it does when memory runs out")
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return CaseFailure(kind="crashed", reason=f"it ended with {how}: {last_words or 'it said nothing'}")


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return (lines[-1] if lines else "")[-_LAST_WORDS:]
