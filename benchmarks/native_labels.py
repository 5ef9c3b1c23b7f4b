"""Labels of the demo model by the native engine on any device: documents packed, each alone, and in float32.

    python -m benchmarks.native_labels prepare FILE [--labelled ../shared/data/labelled]
    python -m benchmarks.native_labels read FILE --precision bf16 fp8 [--device cuda:0] [--out FILE]

A trained model, because rounding grows through random weights until labels mean nothing. ``prepare`` needs the whole
package, as it reads documents: it keeps the requests of the examples and of each labelled set, with their probabilities
in float32 on the CPU. ``read`` needs torch and the package's models, so that it runs where there is a card and little
else.
"""

from __future__ import annotations

import argparse
import json
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.agreement import CLOSE, differences
from benchmarks.native.running import forget, versions
from thresher.engines.base import EngineOptions
from thresher.engines.native.assembly import open_native
from thresher.engines.native.engine import NativeEngine
from thresher.models import open_model, resolve
from thresher.types import Request, Scores

#: Of each document a probability for each label, by their numbers.
Answers = dict[int, dict[int, float]]


def main() -> None:
    arguments = _parse()
    if arguments.action == "prepare":
        prepare(arguments)
        return
    requests: list[Request]
    exact: Answers
    requests, exact = pickle.loads(arguments.file.read_bytes())
    result: dict[str, Any] = {"documents": len(requests), "close": CLOSE, "versions": versions(), "cases": []}
    for precision in arguments.precision:
        packed = answers(requests, precision, arguments.device, at_once=len(requests))
        alone = answers(requests, precision, arguments.device, at_once=1)
        case = {
            "precision": precision,
            "device": _name(arguments.device),
            "packed_and_alone": differences(packed, alone),
            "packed_and_float32": differences(packed, exact),
        }
        result["cases"].append(case)
        print(json.dumps(case), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if any(case["packed_and_alone"]["labels_that_differ_and_are_not_close"] for case in result["cases"]):
        raise SystemExit("a label depends on what shares its pack")


def prepare(arguments: argparse.Namespace) -> None:
    """Keep what the pipeline would ask an engine."""
    import thresher
    from benchmarks.native_parity import document_sets

    seen: list[tuple[Request, Scores]] = []
    scored = NativeEngine.score

    def recording(engine: NativeEngine, requests: Sequence[Request]) -> Iterator[Scores]:
        asked = {request.request_id: request for request in requests}
        for scores in scored(engine, requests):
            seen.append((asked[scores.request_id], scores))
            yield scores

    NativeEngine.score = recording  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        for source, task in document_sets(arguments, Path(folder)).values():
            with tempfile.TemporaryDirectory() as job:
                options = {"model": "demo", "engine": "native", "context": arguments.context}
                list(thresher.classify([source], task, job=Path(job) / "job", **options))
    requests = [
        Request(request_id=index, prompt=request.prompt, document_tokens=tuple(request.document_tokens))
        for index, (request, _) in enumerate(seen)
    ]
    arguments.file.write_bytes(
        pickle.dumps((requests, {index: _by_label(scores) for index, (_, scores) in enumerate(seen)}))
    )
    print(f"{len(requests)} requests, {sum(len(request.document_tokens) for request in requests):,} document tokens")


def answers(requests: Sequence[Request], precision: str, device: str, at_once: int) -> Answers:
    """Probabilities of the first question of every request, given to the engine so many at a time."""
    options = EngineOptions(device=device, precision=precision)
    found: Answers = {}
    with open_native(open_model(resolve("demo")), options) as engine:
        for start in range(0, len(requests), at_once):
            for scores in engine.score(requests[start : start + at_once]):
                if scores.failure:
                    raise SystemExit(f"a request failed: {scores.failure.reason}")
                found[scores.request_id] = _by_label(scores)
    forget(torch.device(device))
    return found


def _by_label(scores: Scores) -> dict[int, float]:
    return dict(enumerate(scores.answers[0].probabilities))


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["prepare", "read"])
    parser.add_argument("file", type=Path, help="of the requests")
    parser.add_argument("--labelled", type=Path, default=Path("../shared/data/labelled"))
    parser.add_argument("--sets", nargs="*", help="labelled sets to take, by their files' stems (default: all)")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--precision", nargs="+", default=["bf16"])
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
