"""The native engine against llama.cpp on the demo model, in float32 and as shipped: probabilities and labels.

    python -m benchmarks.native_parity --labelled ../shared/data/labelled

Documents: the examples with their task, and 75 documents of each labelled set, asked for its twelve commonest labels
and cut to ``--context`` tokens. Both engines get the same files through the same pipeline.

The float32 model is a copy of the shipped Q8_0 file, the same weights dequantized. So llama.cpp on one beside llama.cpp
on the other shows what its 8-bit activations alone do, and the native engine on Q8_0 beside llama.cpp on the copy what
is left without them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import thresher
from benchmarks.agreement import CLOSE, differences
from benchmarks.machine import save
from tests.support.gguf_models import write_float32_copy
from thresher.models import resolve

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOCUMENTS_PER_SET = 75
LABELS_PER_SET = 12

#: An engine and the weights it was given.
Read = tuple[str, str]
#: What one said of every document, and how many seconds it took.
Reading = tuple[Mapping[str, Mapping[str, float]], float]
PAIRS: tuple[tuple[Read, Read], ...] = (
    (("native", "F32"), ("llamacpp", "F32")),
    (("native", "Q8_0"), ("llamacpp", "Q8_0")),
    (("llamacpp", "Q8_0"), ("llamacpp", "F32")),
    (("native", "Q8_0"), ("llamacpp", "F32")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", type=Path, required=True, help="folder of labelled sets (JSONL: text, label)")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--sets", nargs="*", help="labelled sets to take, by their files' stems (default: all)")
    parser.add_argument("--name", default="native_parity", help="of the result's file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {"F32": str(write_float32_copy(resolve("demo").path, Path(folder) / "f32.gguf")), "Q8_0": "demo"}
        cases: list[dict[str, Any]] = []
        for name, (source, task) in document_sets(arguments, Path(folder)).items():
            readings = {
                (engine, weights): read(engine, model, source, task, arguments)
                for engine in ("native", "llamacpp")
                for weights, model in models.items()
            }
            cases.extend(compare(name, pair, readings) for pair in PAIRS)
            save(arguments.name, {"context": arguments.context, "close": CLOSE, "cases": cases})


def document_sets(arguments: argparse.Namespace, folder: Path) -> dict[str, tuple[Path, thresher.Task]]:
    """Where the documents are, and what is asked of them."""
    sets = {"examples": (EXAMPLES / "documents", thresher.load_task(EXAMPLES / "task.yaml"))}
    for path in sorted(arguments.labelled.glob("*.jsonl")):
        if not arguments.sets or path.stem in arguments.sets:
            sets[path.stem] = write_set(path, folder)
    return sets


def write_set(path: Path, folder: Path) -> tuple[Path, thresher.Task]:
    """A table of the first documents with one of the commonest labels, and the task to tell those."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    labels = [label for label, _ in Counter(row["label"] for row in rows).most_common(LABELS_PER_SET)]
    chosen = [row for row in rows if row["label"] in labels]
    chosen = chosen[:: max(1, len(chosen) // DOCUMENTS_PER_SET)]
    table = folder / path.name
    lines = [json.dumps({"id": row["id"], "text": row["text"]}) for row in chosen[:DOCUMENTS_PER_SET]]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table, thresher.Task(labels)


def read(engine: str, model: str, source: Path, task: thresher.Task, arguments: argparse.Namespace) -> Reading:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as job:
        run = thresher.classify(
            [source],
            task,
            model=model,
            engine=engine,
            job=Path(job) / "job",
            context=arguments.context,
            threads=arguments.threads,
        )
        found = {p.document_id: p.probabilities for p in run if p.probabilities}
    return found, round(time.perf_counter() - start, 1)


def compare(name: str, pair: tuple[Read, Read], readings: Mapping[Read, Reading]) -> dict[str, Any]:
    """One of :data:`PAIRS` on one set of documents."""
    titles = [f"{engine} on {weights}" for engine, weights in pair]
    (first, first_s), (second, second_s) = (readings[read] for read in pair)
    seconds = dict(zip(titles, (first_s, second_s), strict=True))
    return {"name": f"{' and '.join(titles)}, {name}", **differences(first, second), "seconds": seconds}


if __name__ == "__main__":
    main()
