"""The native engine against llama.cpp on the demo model, in float32 and as shipped: probabilities and labels.

    python -m benchmarks.native_parity --labelled ../shared/data/labelled

Documents: the examples with their task, and 75 documents of each labelled set, asked for its twelve commonest labels
and cut to ``--context`` tokens. Both engines get the same files through the same pipeline.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import thresher
from benchmarks.machine import save
from tests.support.gguf_models import write_float32_copy
from thresher.models import resolve

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOCUMENTS_PER_SET = 75
LABELS_PER_SET = 12
#: Where the two best labels are this close, engines that round differently may swap them.
CLOSE = 0.04


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", type=Path, required=True, help="folder of labelled sets (JSONL: text, label)")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = {"F32": str(write_float32_copy(resolve("demo").path, Path(folder) / "f32.gguf")), "Q8_0": "demo"}
        sets: dict[str, tuple[Path, thresher.Task]] = {
            "examples": (EXAMPLES / "documents", thresher.load_task(EXAMPLES / "task.yaml")),
            **{path.stem: write_set(path, Path(folder)) for path in sorted(arguments.labelled.glob("*.jsonl"))},
        }
        cases = []
        for precision, model in models.items():
            for name, (source, task) in sets.items():
                cases.append(compare(f"{precision}, {name}", model, source, task, arguments))
                save("native_parity", {"context": arguments.context, "close": CLOSE, "cases": cases})


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


def compare(name: str, model: str, source: Path, task: thresher.Task, arguments: argparse.Namespace) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    found: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for engine in ("native", "llamacpp"):
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
            found[engine] = {p.document_id: p.probabilities for p in run if p.probabilities}
        seconds[engine] = round(time.perf_counter() - start, 1)
    return {"name": name, **differences(found["native"], found["llamacpp"]), "seconds": seconds}


def differences(first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    if first.keys() != second.keys():
        raise SystemExit(f"one engine failed documents: {sorted(first.keys() ^ second.keys())[:5]}")
    every = sorted(abs(first[d][label] - second[d][label]) for d in first for label in first[d])
    gaps = sorted(max(abs(first[d][label] - second[d][label]) for label in first[d]) for d in first)
    differing = [d for d in first if best(first[d]) != best(second[d])]
    return {
        "documents": len(gaps),
        "largest_gap": gaps[-1],
        "gap_99_percent": gaps[int(0.99 * (len(gaps) - 1))],  # of documents' largest gaps
        "gap_of_any_label_99_percent": every[int(0.99 * (len(every) - 1))],
        "labels_that_differ": len(differing),
        "labels_that_differ_and_are_not_close": sum(lead(second[d]) > CLOSE for d in differing),
    }


def best(probabilities: Mapping[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)


def lead(probabilities: Mapping[str, float]) -> float:
    ranked: Sequence[float] = sorted(probabilities.values(), reverse=True)
    return ranked[0] - ranked[1]


if __name__ == "__main__":
    main()
