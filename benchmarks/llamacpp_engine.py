"""How close the in-process llama.cpp engine comes to llama.cpp's own prompt processing.

    python -m benchmarks.llamacpp_engine [--model demo | hybrid-0.1b | ...]

The floor is one sequence through plain ``llama_decode``, in micro-batches of the best size tried, without any logits
but the last: what ``llama-bench -p N`` measures. For 200-token documents it is a sequence of 512 tokens, for
4,000-token documents one of 4,096. Engine and floor take turns for a number of rounds in one process and the medians
are compared, so that other load on the machine falls on both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.machine import save
from benchmarks.random_models import SIZES, open_named
from thresher.answers import AnswerTrie
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F16, Context, Piece, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.models import Model
from thresher.types import Prompt, QuestionPrompt, Request

LABELS = ("invoice", "contract", "minutes", "letter")
TREE_LABELS = ("invoice", "invoice from abroad", "contract", "contract of sale")
FLOOR_MICRO_BATCHES = (256, 512, 1024, 2048)


def main() -> None:
    arguments = parse_arguments()
    options = EngineOptions(threads=arguments.threads, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        model = open_named(arguments.model, Path(folder))
        with open_engine("llamacpp", model, options) as engine:
            cases = [run_case(case, model, engine, arguments) for case in make_cases(engine)]
    save(
        f"llamacpp_engine_{arguments.model}",
        {
            "model": model.facts.name,
            "parameters": model.facts.parameters,
            "precision": engine.info.precision,
            "device": engine.info.device,
            "library": engine.info.version,
            "rounds": arguments.rounds,
            "cases": cases,
        },
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="demo", help=f"a model reference, or a random one of {', '.join(SIZES)}")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=("cpu", "gpu"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=8192, help="document tokens a case reads in a round")
    return parser.parse_args()


def make_cases(engine: Engine) -> list[dict[str, Any]]:
    """Documents of one length and of lengths that vary by half, answers decided at once and answers in a tree."""
    flat, tree = make_prompt(engine, LABELS), make_prompt(engine, TREE_LABELS)
    return [
        {"name": "200 tokens", "prompt": flat, "length": 200, "spread": 0.0, "floor_length": 512},
        {"name": "200 tokens, ragged", "prompt": flat, "length": 200, "spread": 0.5, "floor_length": 512},
        {"name": "200 tokens, ragged, tree", "prompt": tree, "length": 200, "spread": 0.5, "floor_length": 512},
        {"name": "4000 tokens, ragged", "prompt": flat, "length": 4000, "spread": 0.2, "floor_length": 4096},
    ]


def make_prompt(engine: Engine, labels: Sequence[str]) -> Prompt:
    encode = engine.tokenizer.encode
    end = engine.tokenizer.encode_template("<|im_end|>")
    prefix = encode("Decide what kind of document this is.\n\nLabels:\n" + "\n".join(labels) + "\n\nDocument:\n")
    trie = AnswerTrie(labels, [encode(label) + end for label in labels])
    suffix = encode("---\nAnswer with exactly one label from the list, and nothing else.\nLabel: ")
    question = QuestionPrompt(name="kind", suffix_tokens=tuple(suffix), trie=trie)
    return Prompt(prefix_tokens=tuple(prefix), questions=(question,))


def run_case(case: dict[str, Any], model: Model, engine: Engine, arguments: argparse.Namespace) -> dict[str, Any]:
    requests = make_requests(case, engine, arguments.tokens)
    computed = 0

    def read() -> None:
        nonlocal computed
        scores = list(engine.score(requests))
        if any(s.failure for s in scores):
            raise SystemExit(f"a document failed: {next(s.failure for s in scores if s.failure)}")
        computed = sum(s.computed_tokens for s in scores)

    with Floor(model, case["floor_length"], arguments) as floor:
        read()
        seconds = take_turns([read, *floor.runs], arguments.rounds)
    best = min(range(len(floor.runs)), key=lambda index: seconds[1 + index])
    floor_rate = case["floor_length"] / seconds[1 + best]
    return {
        "name": case["name"],
        "documents": len(requests),
        "computed_tokens": computed,
        "tokens_per_second": computed / seconds[0],
        "floor_tokens_per_second": floor_rate,
        "floor_micro_batch": floor.micro_batches[best],
        "ratio": computed / seconds[0] / floor_rate,
    }


def make_requests(case: dict[str, Any], engine: Engine, tokens: int) -> list[Request]:
    random = np.random.default_rng(1)
    count = max(2, tokens // case["length"])
    spread = int(case["length"] * case["spread"])
    lengths = case["length"] + random.integers(-spread, spread + 1, count)
    largest = min(engine.tokenizer.vocabulary_size - 100, 20_000)
    return [
        Request(request_id=i, prompt=case["prompt"], document_tokens=random.integers(100, largest, length).tolist())
        for i, length in enumerate(lengths)
    ]


class Floor:
    """Plain ``llama_decode`` of one sequence, a run per micro-batch size."""

    def __init__(self, model: Model, length: int, arguments: argparse.Namespace) -> None:
        self._binding = open_binding(want_gpu=arguments.device != "cpu")
        on_gpu = bool(self._binding.gpus()) and arguments.device != "cpu"
        self._model = LoadedModel(self._binding, model.files.path, on_gpu=on_gpu)
        self._threads = arguments.threads or psutil.cpu_count(logical=False) or 1
        self._tokens = np.random.default_rng(2).integers(100, 1000, length).astype(np.int32)
        self.micro_batches = [size for size in FLOOR_MICRO_BATCHES if size <= length]
        self._contexts = [self._context(size) for size in self.micro_batches]
        self.runs: list[Callable[[], None]] = [self._run(context) for context in self._contexts]

    def _context(self, micro_batch: int) -> Context:
        cells = len(self._tokens)
        shape = Shape(cells=cells, sequences=1, micro_batch=micro_batch, threads=self._threads, kv_type=F16)
        return Context(self._binding, self._model.handle, self._model.vocabulary_size, shape)

    def _run(self, context: Context) -> Callable[[], None]:
        step, tokens = context.shape.micro_batch, self._tokens

        def run() -> None:
            for start in range(0, len(tokens), step):
                part = tokens[start : start + step]
                outputs = (len(part) - 1,) if start + step >= len(tokens) else ()
                context.decode([Piece(0, start, part, outputs)])
            context.clear()

        return run

    def __enter__(self) -> Floor:
        return self

    def __exit__(self, *_: object) -> None:
        for context in self._contexts:
            context.close()
        self._model.close()


def take_turns(runs: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """Median seconds of each run; in every round each has its turn."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in seconds]


if __name__ == "__main__":
    main()
