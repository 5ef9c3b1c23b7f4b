"""How long people wait for the review page of a large job.

A job of ``--documents`` rows is made without a model, ``thresher review`` is started on it, and each page is asked for
``--rounds`` times as a browser would, once the words of all texts are in the full-text index. Figures are medians in
milliseconds from sending the request to its last byte. The floor is the time for a static file of the same server: the
answer that costs it nothing. ``pages_cpu_ms`` is the server's own time (in steps of 10 ms, shared among the rounds),
which other work on the machine changes less. ``first page`` is the first request after the address was printed, of a
fresh server.

    python -m benchmarks.review_page
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.machine import save
from thresher.jobs import Commit, DocumentRead, JobStore, ListedDocument, Result, RunFacts

LABELS = tuple(f"label {number:02d}" for number in range(20))
_COMMIT = 2_000
_WORDS = [hashlib.sha256(str(number).encode()).hexdigest()[:7] for number in range(20_000)]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job"
        make_job(job, options.documents, options.words)
        start = time.monotonic()
        with Server(job) as server:
            result: dict[str, Any] = {
                "documents": options.documents,
                "words_a_document": options.words,
                "load_average_before": os.getloadavg()[0],
                "start_without_index_s": time.monotonic() - start,
                "first_page_ms": {"without an index before": server.get("/")[0]},
            }
            result["full_text_index_s"] = server.wait_for_words(start)
        result["job_bytes"] = size_of(job, "job.sqlite")
        result["index_bytes"] = size_of(job, "review-index.sqlite")
        start = time.monotonic()
        with Server(job) as server:
            result["start_with_index_s"] = time.monotonic() - start
            result["first_page_ms"]["with an index"] = server.get("/")[0]
            result["pages_ms"] = server.pages(options.rounds)
            result["pages_cpu_ms"] = server.cpu_ms
    floor = result["pages_ms"]["static file (floor)"]
    result["times_the_floor"] = {name: figure / floor for name, figure in result["pages_ms"].items()}
    save("review_page", result)


def make_job(folder: Path, documents: int, words: int) -> None:
    """A finished job of one question with 20 labels."""
    facts = RunFacts(
        task="kind", task_fingerprint="t", questions=("kind",), model="m", model_fingerprint="m", engine="fake",
        precision="none", context_tokens=1000, long_policy="head-tail", parser_version="1", labels={"kind": LABELS},
        kinds={"kind": "choice"},
    )  # fmt: skip
    chance = random.Random(1)
    with JobStore.open(folder) as store:
        store.begin_run(facts)
        with store.listing() as add:
            add(
                ListedDocument(document_id=f"folder/{n:07d}.txt", source=f"/in/{n}", size_bytes=1, mtime_ns=1)
                for n in range(documents)
            )
        for first in range(0, documents, _COMMIT):
            store.commit(_commit(range(first, min(documents, first + _COMMIT)), words, chance))


def _commit(numbers: range, words: int, chance: random.Random) -> Commit:
    reads, results, texts = [], [], []
    for number in numbers:
        content = f"{number:064x}"
        label, probability = LABELS[number % len(LABELS)], 0.2 + 0.8 * chance.random()
        rest = (1 - probability) / (len(LABELS) - 1)
        reads.append(DocumentRead(document_id=f"folder/{number:07d}.txt", content_sha256=content))
        texts.append((content, " ".join(chance.choices(_WORDS, k=words))))
        results.append(
            Result(
                content_sha256=content, question="kind", status="ok", label=label, probability=probability,
                probabilities={name: probability if name == label else rest for name in LABELS},
            )
        )  # fmt: skip
    return Commit(reads=tuple(reads), results=tuple(results), texts=tuple(texts))


class Server:
    """``thresher review`` in a process of its own."""

    def __init__(self, job: Path) -> None:
        command = [sys.executable, "-m", "thresher", "review", str(job)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        address, self._token = self._process.stdout.readline().strip().split("/?token=")
        self._origin = address
        self._port = int(address.rpartition(":")[2])
        self.cpu_ms: dict[str, float] = {}  # of the server, for each kind of page

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()

    def get(self, path: str, form: dict[str, str] | None = None) -> tuple[float, http.client.HTTPResponse, str]:
        """Milliseconds, answer and body."""
        headers = {"Cookie": f"thresher-review-{self._port}={self._token}", "Origin": self._origin}
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        start = time.perf_counter()
        connection.request("GET" if form is None else "POST", path, urlencode(form or {}), headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        elapsed_ms = 1000 * (time.perf_counter() - start)
        connection.close()
        assert answer.status in (200, 303), (path, answer.status, body)
        return elapsed_ms, answer, body

    def wait_for_words(self, start: float) -> float:
        """Seconds from ``start`` until all texts can be searched."""
        while json.loads(self.get("/progress.json")[2])["to_come"]:
            time.sleep(0.5)
        return time.monotonic() - start

    def pages(self, rounds: int) -> dict[str, float]:
        """Medians of what people ask for, in milliseconds."""
        paths = {
            "static file (floor)": "/static/icon.svg",
            "overview": "/",
            "list, doubtful first": "/list?state=all",
            "list of a label": "/list?state=all&label=label+07",
            "list, search for a rare word": f"/list?state=all&text={_WORDS[7]}",
            "list, search for a beginning that a third has": "/list?state=all&text=a1",
            "list, filters and search": f"/list?label=label+07&low=30&high=60&text={_WORDS[7]}",
            "next document, random order": "/check?order=random",
        }
        found = {name: self._median(name, (self.get(path)[0] for _ in range(rounds))) for name, path in paths.items()}
        name = "accept, and the next document"
        return {**found, name: self._median(name, self._decisions(rounds))}

    def _median(self, name: str, times_ms: Iterator[float]) -> float:
        before, measured = self._cpu_s(), list(times_ms)
        self.cpu_ms[name] = 1000 * (self._cpu_s() - before) / len(measured)
        return statistics.median(measured)

    def _cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def _decisions(self, rounds: int) -> Iterator[float]:
        """Decide ``rounds`` times: the post, the redirect to the next document, and that document."""
        location = self.get("/check")[1].headers["Location"]
        for _ in range(rounds):
            body = self.get(location)[2]
            form = {name: body.split(f'name="{name}" value="')[1].split('"')[0] for name in ("document", "seen", "run")}
            posted_ms, answer, _ = self.get(location.replace("/check", "/decide"), {**form, "do": "accept"})
            chosen_ms, answer, _ = self.get(answer.headers["Location"])
            location = answer.headers["Location"]
            yield posted_ms + chosen_ms + self.get(location)[0]


def size_of(folder: Path, name: str) -> int:
    """Bytes of a database with what stands beside it."""
    return sum(file.stat().st_size for file in folder.glob(f"{name}*"))


if __name__ == "__main__":
    main()
