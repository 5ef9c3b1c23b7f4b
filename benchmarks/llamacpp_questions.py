"""What further questions over one reading cost: 1, 5 and 20 labels of a ``multi`` task on documents of 1,000 tokens.

    python -m benchmarks.llamacpp_questions [--model demo | hybrid-0.1b | ...] [--documents 8] [--rounds 5]

Every round reads the same documents with each number of questions in turn; ratios are of the same round, in time, in
processor time (which other load on the machine does not touch) and in computed tokens.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.documents import make_documents
from benchmarks.machine import save
from benchmarks.random_models import SIZES, open_named
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.models import Model
from thresher.tasks import Task
from thresher.tasks.prompt import build_prompt
from thresher.types import Prompt, Request

TOPICS = [
    "rent",
    "payment",
    "delivery",
    "meetings",
    "software faults",
    "work experience",
    "medicine",
    "education",
    "travel",
    "food",
    "music",
    "sport",
    "weather",
    "taxes",
    "insurance",
    "construction",
    "farming",
    "shipping",
    "energy",
    "advertising",
]
COUNTS = (1, 5, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help=f"a model reference, or a random one of {', '.join(SIZES)}")
    parser.add_argument("--documents", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = open_named(arguments.model, Path(folder))
        with open_engine("llamacpp", model, EngineOptions(device="cpu")) as engine:
            cases = measure(engine, model, arguments)
    save(
        f"llamacpp_questions_{arguments.model}",
        {
            "model": model.facts.name,
            "parameters": model.facts.parameters,
            "document_tokens": arguments.tokens,
            "documents": arguments.documents,
            "rounds": arguments.rounds,
            "questions": cases,
        },
    )


def measure(engine: Engine, model: Model, arguments: argparse.Namespace) -> dict[str, Any]:
    whole = build_prompt(Task(TOPICS, kind="multi"), engine.tokenizer, model.chat).prompt
    prompts = {n: Prompt(prefix_tokens=whole.prefix_tokens, questions=whole.questions[:n]) for n in COUNTS}
    texts = make_documents(engine.tokenizer, [arguments.tokens] * arguments.documents, seed=1)
    documents = engine.tokenizer.encode_batch(texts)
    turns: dict[int, list[tuple[float, float, int]]] = {n: [] for n in COUNTS}
    for number in range(arguments.rounds + 1):
        for count, prompt in prompts.items():
            turn = read(engine, prompt, documents if number else documents[:1])
            if number:
                turns[count].append(turn)
    return {str(count): _compare(turns[count], turns[1], arguments.documents) for count in COUNTS}


def read(engine: Engine, prompt: Prompt, documents: Sequence[Sequence[int]]) -> tuple[float, float, int]:
    """Seconds, processor seconds, computed tokens."""
    requests = [Request(request_id=n, prompt=prompt, document_tokens=tokens) for n, tokens in enumerate(documents)]
    start, processor = time.perf_counter(), time.process_time()
    scores = list(engine.score(requests))
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    if any(one.failure for one in scores):
        raise SystemExit(f"a document failed: {next(one.failure for one in scores if one.failure)}")
    return seconds, processor, sum(one.computed_tokens for one in scores)


def _compare(
    turns: Sequence[tuple[float, float, int]], single: Sequence[tuple[float, float, int]], documents: int
) -> Any:
    ratios = [
        [mine / one for mine, one in zip(turn, base, strict=True)] for turn, base in zip(turns, single, strict=True)
    ]
    return {
        "seconds_per_document": statistics.median(turn[0] for turn in turns) / documents,
        "computed_tokens_per_document": turns[0][2] / documents,
        "times_of_one_question": {
            name: statistics.median(ratio[index] for ratio in ratios)
            for index, name in enumerate(("seconds", "processor_seconds", "computed_tokens"))
        },
    }


if __name__ == "__main__":
    main()
