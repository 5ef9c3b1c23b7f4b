"""The job that started this, on real documents: 320 of 3,000 to 5,000 tokens, read to the end, with peak memory.

    python -m benchmarks.job_shape [FILE.jsonl...] [--model demo] [--documents 320]

The files are tables with a ``text`` column; documents are taken in order as they come. Without files, documents of
those lengths are made of the examples.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

import thresher
from benchmarks.documents import make_documents
from benchmarks.machine import save
from thresher.models import open_model, resolve

_LEAST_TOKENS, _MOST_TOKENS = 3_000, 5_000
_LABELS = {
    "networking": "about networks, services and traffic",
    "storage": "about volumes, disks and persistence",
    "security": "about authentication, secrets and permissions",
    "economy": "about fees, tokens and markets",
    "other": "none of these",
}


class PeakMemory:
    """Samples the resident memory of this process and its children while the block runs."""

    def __enter__(self) -> PeakMemory:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.1):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)


def long_documents(files: list[Path], model: str, count: int) -> Iterator[dict[str, Any]]:
    """The first ``count`` rows of the files whose text has 3,000 to 5,000 tokens; made ones without files."""
    tokenizer = open_model(resolve(model)).tokenizer
    if tokenizer is None:
        raise SystemExit(f"{model}: its vocabulary can only be read by llama.cpp")
    if not files:
        lengths = [_LEAST_TOKENS + (_MOST_TOKENS - _LEAST_TOKENS) * number // count for number in range(count)]
        yield from ({"id": n, "text": text} for n, text in enumerate(make_documents(tokenizer, lengths, seed=1)))
    rows = (json.loads(line) for file in files for line in file.open(encoding="utf-8"))
    long = (row for row in rows if _LEAST_TOKENS <= len(tokenizer.encode(row["text"])) <= _MOST_TOKENS)
    yield from ({"id": row["id"], "text": row["text"]} for row in islice(long, count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--documents", type=int, default=320)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as peak:
        table = Path(folder) / "documents.jsonl"
        rows = list(long_documents(arguments.files, arguments.model, arguments.documents))
        table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        run = thresher.classify(table, thresher.Task(_LABELS), model=arguments.model, job=Path(folder) / "job")
        summary = run.summary.to_json() | {"job": ""}
        if sum(summary["statuses"].values()) != summary["documents"]:
            raise SystemExit(
                f"interrupted: {summary['statuses']} of {summary['documents']} documents; nothing is saved"
            )
        tokens = [row.document_tokens or 0 for row in run]
    save(
        "job_shape" if arguments.files else "job_shape_made",
        {"summary": summary, "document_tokens": sum(tokens), "peak_resident_bytes": peak.bytes},
    )


if __name__ == "__main__":
    main()
