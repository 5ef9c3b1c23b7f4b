"""The best micro-batch and number of threads by size of model: documents read by the in-process engine under each.

    python -m benchmarks.llamacpp_settings [--model demo | hybrid-0.1b | dense-0.1b | ...] [--documents 2] [--rounds 2]

Settings take turns within a round. ``seconds`` and ``processor_seconds`` are medians as multiples of those of the
settings that the engine takes by itself (512 tokens, all cores).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.documents import make_documents
from benchmarks.machine import save
from benchmarks.random_models import SIZES, open_named
from thresher.engines import EngineOptions, open_engine
from thresher.models import Model
from thresher.tasks import Task, build_prompt
from thresher.types import Request

_MICRO_BATCHES = (128, 512, 2048)
_DEFAULT_MICRO_BATCH = 512
_TOKENS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help=f"a model reference, or one of {', '.join(SIZES)}")
    parser.add_argument("--documents", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    settings = [(size, cores) for size in _MICRO_BATCHES] + [(_DEFAULT_MICRO_BATCH, n) for n in _fewer(cores)]
    with tempfile.TemporaryDirectory() as folder:
        model = open_named(arguments.model, Path(folder))
        documents = _documents(model, arguments.documents)
        found: dict[tuple[int, int], list[tuple[float, float]]] = {one: [] for one in settings}
        for _ in range(arguments.rounds):
            for size, threads in settings:
                found[size, threads].append(_read(model, documents, size, threads))
    save(
        f"llamacpp_settings_{arguments.model}",
        {
            "model": model.facts.name,
            "parameters": model.facts.parameters,
            "document_tokens": _TOKENS,
            "documents": arguments.documents,
            "rounds": arguments.rounds,
            "settings": _compared(found, (_DEFAULT_MICRO_BATCH, cores)),
        },
    )


def _fewer(cores: int) -> list[int]:
    return sorted({1, max(1, cores // 2)} - {cores})


def _documents(model: Model, count: int) -> list[list[int]]:
    if model.tokenizer is None:
        raise SystemExit(f"{model.facts.name}: its vocabulary can only be read by llama.cpp")
    texts = make_documents(model.tokenizer, [_TOKENS] * count, seed=5)
    return [model.tokenizer.encode(text) for text in texts]


def _read(model: Model, documents: Sequence[Sequence[int]], micro_batch: int, threads: int) -> tuple[float, float]:
    """Wall and processor seconds, the prefix read before."""
    options = EngineOptions(threads=threads, context_tokens=4096, settings={"micro_batch": micro_batch})
    with open_engine("llamacpp", model, options) as engine:
        prompt = build_prompt(Task(["invoice", "letter", "other"]), engine.tokenizer, model.chat).prompt
        requests = [
            Request(request_id=number, prompt=prompt, document_tokens=tokens) for number, tokens in enumerate(documents)
        ]
        list(engine.score([Request(request_id=len(requests), prompt=prompt, document_tokens=documents[0][:32])]))
        start, processor_start = time.perf_counter(), time.process_time()
        list(engine.score(requests))
        return time.perf_counter() - start, time.process_time() - processor_start


def _compared(found: dict[tuple[int, int], list[tuple[float, float]]], base: tuple[int, int]) -> list[dict[str, Any]]:
    medians = {
        setting: (statistics.median(wall for wall, _ in times), statistics.median(cpu for _, cpu in times))
        for setting, times in found.items()
    }
    wall, processor = medians[base]
    return [
        {"micro_batch": size, "threads": threads, "seconds": a / wall, "processor_seconds": b / processor}
        for (size, threads), (a, b) in medians.items()
    ]


if __name__ == "__main__":
    main()
