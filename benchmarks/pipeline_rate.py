"""The pipeline alone: how much of the tokenizer's own rate is left when everything around it is done too.

The engine is the fake one, so what is measured is listing, reading, hashing, duplicates, tokenizing, the fake's hash,
and durable storing. The peer is the tokenizer's batch encoding of the same texts on the same cores in the same run.

    python -m benchmarks.pipeline_rate [--documents 20000] [--words 150]
    python -m benchmarks.pipeline_rate --memory          resident memory at 1,000 and 200,000 documents
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

import thresher
from benchmarks.machine import save
from thresher.models import open_model, resolve

_BATCH = 256
_REPETITIONS = 3
_LABELS = ["invoice", "contract", "other"]


def write_table(file: Path, documents: int, words: int) -> list[str]:
    """A table of distinct texts of made-up words; returns its first texts, enough for the peer's measurement."""
    chooser = random.Random(7)
    syllables = ["ta", "ri", "mo", "ne", "shu", "pel", "ver", "ing", "con", "dra", "lis", "ot", "am", "ke"]
    vocabulary = ["".join(chooser.choices(syllables, k=chooser.randint(1, 4))) for _ in range(20_000)]
    kept = []
    with file.open("w", encoding="utf-8") as stream:
        for number in range(documents):
            text = f"{number} " + " ".join(chooser.choices(vocabulary, k=words))
            stream.write(json.dumps({"text": text}) + "\n")
            if number < 20_000:
                kept.append(text)
    return kept


def tokenizer_rate(texts: list[str], model: str) -> float:
    """Tokens per second of the tokenizer's own batch encoding (its Rust call, nothing around it)."""
    tokenizer = open_model(resolve(model)).tokenizer
    if tokenizer is None:
        raise RuntimeError("the demo model's vocabulary cannot be read")
    plain = tokenizer._plain  # the Rust tokenizer itself: the peer has nothing of ours around it
    plain.encode_batch_fast(texts[:_BATCH])
    tokens = 0
    start = time.perf_counter()
    for begin in range(0, len(texts), _BATCH):
        encodings = plain.encode_batch_fast(texts[begin : begin + _BATCH], add_special_tokens=False)
        tokens += sum(len(encoding) for encoding in encodings)
    return tokens / (time.perf_counter() - start)


def pipeline_rate(table: Path, model: str) -> tuple[float, float]:
    """Document tokens per second and documents per second of a whole run with the fake engine."""
    with tempfile.TemporaryDirectory() as folder:
        run = thresher.classify(table, thresher.Task(_LABELS), model=model, engine="fake", job=Path(folder) / "job")
        tokens = sum(row.document_tokens or 0 for row in run)
        return tokens / run.summary.seconds, run.summary.documents_per_second


def measure_rate(documents: int, words: int, model: str) -> dict[str, Any]:
    """Pipeline and peer, alternating, and their ratio by repetition."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.jsonl"
        texts = write_table(table, documents, words)
        rows = []
        for _ in range(_REPETITIONS):
            peer = tokenizer_rate(texts, model)
            tokens_per_second, documents_per_second = pipeline_rate(table, model)
            rows.append(
                {
                    "tokenizer_tokens_per_second": peer,
                    "pipeline_tokens_per_second": tokens_per_second,
                    "pipeline_documents_per_second": documents_per_second,
                    "ratio": tokens_per_second / peer,
                }
            )
    return {"documents": documents, "words_per_document": words, "repetitions": rows}


def peak_memory_bytes(documents: int, model: str) -> int:
    """Largest resident memory of a run with all its processes, sampled every 50 ms."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.jsonl"
        write_table(table, documents, 150)
        code = (
            f"import thresher, sys\ntask = thresher.Task({_LABELS!r})\n"
            "thresher.classify(sys.argv[1], task, model=sys.argv[3], engine='fake', job=sys.argv[2])"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(table), str(Path(folder) / "job"), model])
        peak = 0
        watcher = threading.Event()
        while process.poll() is None:
            peak = max(peak, _resident_bytes(process.pid))
            watcher.wait(0.05)
        if process.returncode:
            raise RuntimeError(f"the run ended with exit code {process.returncode}")
        return peak


def _resident_bytes(process_id: int) -> int:
    try:
        process = psutil.Process(process_id)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--words", type=int, default=105)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    if arguments.memory:
        peaks = {str(count): peak_memory_bytes(count, arguments.model) for count in (1_000, 200_000)}
        save("pipeline_memory", {"peak_resident_bytes_by_documents": peaks})
    else:
        save(
            f"pipeline_rate_{arguments.words}_words",
            measure_rate(arguments.documents, arguments.words, arguments.model),
        )


if __name__ == "__main__":
    main()
