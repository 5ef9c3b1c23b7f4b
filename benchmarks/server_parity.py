"""The same documents by llama.cpp in this process and by llama-server: how far apart are their probabilities?

    python -m benchmarks.server_parity [FILE.jsonl] [--documents 200]

The example documents, and of a table with a ``text`` column so many rows, evenly chosen; with the demo model as shipped
(Q8_0) and with its weights in float32, for which both keep keys and values in float32. The gap of a document is the
largest difference of a label's probability.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import thresher
from benchmarks.agreement import CLOSE, lead
from benchmarks.machine import save
from tests.support import engine_models
from tests.support.llama_server import LlamaServer
from thresher.models import Model
from thresher.tasks import Task, load_task
from thresher.types import Prediction

_EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
_SLOTS = 4
_CONTEXT_TOKENS = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=200)
    arguments = parser.parse_args()
    task = load_task(_EXAMPLES / "task.yaml")
    with tempfile.TemporaryDirectory() as folder:
        inputs = [str(_EXAMPLES / "documents")]
        if arguments.file is not None:
            inputs.append(str(_chosen(arguments.file, arguments.documents, Path(folder) / "table.jsonl")))
        report = {
            name: _compare(model, inputs, task, Path(folder) / name, full=name == "F32")
            for name, model in {"Q8_0": engine_models.shipped(), "F32": engine_models.float32()}.items()
        }
    save("server_parity", {"inputs": ["examples", *([arguments.file.name] if arguments.file else [])], **report})


def _chosen(file: Path, count: int, target: Path) -> Path:
    rows = file.read_text(encoding="utf-8").splitlines()
    step = max(1, len(rows) // count)
    texts = [json.loads(row)["text"] for row in rows[::step][:count]]
    target.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return target


def _compare(model: Model, inputs: list[str], task: Task, folder: Path, *, full: bool) -> dict[str, Any]:
    def rows(reference: str, name: str) -> dict[str, Prediction]:
        run = thresher.classify(inputs, task, model=reference, context=_CONTEXT_TOKENS, job=folder / name)
        return {row.document_id: row for row in run}

    folder.mkdir()
    path = model.files.path
    with LlamaServer(
        path, slots=_SLOTS, context=_CONTEXT_TOKENS, saves=folder, threads=1, full_precision=full
    ) as server:
        served = rows(server.url, "server")
    inside = rows(str(path), "inside")
    assert served.keys() == inside.keys()
    labelled = [(row, served[key]) for key, row in inside.items() if row.label and served[key].label]
    gaps = [max(abs(a.probabilities[label] - b.probabilities[label]) for label in a.probabilities) for a, b in labelled]
    changed = [(a, b) for a, b in labelled if a.label != b.label]
    return {
        "documents": len(inside),
        "labelled_by_both": len(labelled),
        "labels_that_differ": len(changed),
        "of_them_not_close": sum(lead(a.probabilities) > CLOSE for a, _ in changed),
        "gap_median": statistics.median(gaps),
        "gap_largest": max(gaps),
        "gaps_under_0.02": sum(gap < 0.02 for gap in gaps) / len(gaps),
    }


if __name__ == "__main__":
    main()
