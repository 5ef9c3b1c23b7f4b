"""How much memory a process really takes when weights are given a quarter of what they need, on a CPU.

    python -m benchmarks.native_resident --model hybrid-0.5b

The model has random weights. Each size is measured in a process of its own: resident memory that is its own (what is
mapped from the model's file can be given back at any time, and is named beside it) before the engine opens, and the
most while it opens and reads. The labels of both are compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import save
from benchmarks.random_models import SIZES, write_random_model
from thresher.engines import EngineOptions, open_engine
from thresher.engines.native.streaming import layer_formats
from thresher.engines.native.weights import open_weights
from thresher.models import open_model, resolve

_SHARE = 4
_DOCUMENTS, _TOKENS = 4, 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SIZES, default="hybrid-0.5b")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.limit or None)))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = write_random_model(arguments.model, Path(folder))
        source = open_weights(open_model(resolve(str(file))))
        layers = sum(form.block_bytes for form in layer_formats(source.config, "fp32"))
        table = 4 * source.config.vocabulary_size * source.config.hidden_size
        source.close()
        weights = layers + (1 if source.config.tied_embeddings else 2) * table
        cases = [in_a_process(file, limit) for limit in (0, weights // _SHARE)]
    whole, limited = cases
    report = {
        "model": f"{arguments.model}, random weights",
        "torch": torch.__version__,
        "precision": "fp32",
        "weights_bytes": weights,
        "limit_bytes": weights // _SHARE,
        "unlimited": whole,
        "limited": limited,
        "labels_differ": sum(a != b for a, b in zip(whole["labels"], limited["labels"], strict=True)),
    }
    save("native_resident", report)


def in_a_process(file: Path, limit: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.native_resident", "--one", str(file), "--limit", str(limit)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(file: Path, limit: int | None) -> dict[str, Any]:
    # deferred: their memory belongs to what is measured before
    from tests.support.prompts import make_prompt, make_requests

    model = open_model(resolve(str(file)))
    torch.set_num_threads(1)
    torch.ones(64, 64) @ torch.ones(64, 64)
    before = resident()
    watch = _Watch()
    options = EngineOptions(threads=1, weights_memory_bytes=limit, settings={"pack_tokens": 1024, "step_tokens": 256})
    with open_engine("native", model, options) as engine:
        prompt = make_prompt(engine.tokenizer, ("invoice", "contract", "minutes"))
        documents = [list(range(100 + number, 100 + number + _TOKENS)) for number in range(_DOCUMENTS)]
        start = time.perf_counter()
        found = sorted(engine.score(make_requests(prompt, documents)), key=lambda scores: scores.request_id)
        seconds = time.perf_counter() - start
        notices = engine.info.notices
    return {
        "own_bytes_before": before["RssAnon"],
        "own_bytes_peak": watch.stop(),
        "mapped_bytes_after": resident()["RssFile"],
        "reading_seconds": round(seconds, 1),
        "notices": notices,
        "labels": [max(range(3), key=scores.answers[0].probabilities.__getitem__) for scores in found],
    }


class _Watch:
    """The most memory of this process's own, looked at a hundred times a second."""

    def __init__(self) -> None:
        self._largest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._largest

    def _look(self) -> None:
        while not self._done.wait(0.01):
            self._largest = max(self._largest, resident()["RssAnon"])


def resident() -> dict[str, int]:
    """Bytes by kind, from Linux."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith("Rss")}


if __name__ == "__main__":
    main()
