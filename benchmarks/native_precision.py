"""What each precision of the native engine does to answers, beside float32, on the demo model.

    python -m benchmarks.native_precision --labelled ../shared/data/labelled

Documents: every n-th row of CLINC150's test set, short questions to an assistant, sorted into eight fields. On a CPU
fp8 and nvfp4 are simulated: the same rounding, not the same speed. A document's shift is how far the probability
of the label that float32 gives moves.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import thresher
from benchmarks.agreement import CLOSE
from benchmarks.machine import save
from thresher.engines import EngineOptions, open_engine
from thresher.models import Model, open_model, resolve
from thresher.tasks import build_prompt
from thresher.types import Request

SET = "clinc150_test_ccby3.jsonl"
LABELS = ("banking", "travel", "cooking", "cars", "work", "home", "shopping", "small talk")
PRECISIONS = ("bf16", "int8", "fp8", "nvfp4", "nvfp4-bf16", "nvfp4-fp8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labelled", type=Path, required=True, help="folder of labelled sets (JSONL: text, label)")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    lines = (arguments.labelled / SET).read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[:: len(lines) // arguments.documents][: arguments.documents]]
    model = open_model(resolve("demo"))
    exact, seconds = read(model, "fp32", texts, arguments.threads)
    cases = [{"precision": "fp32", "seconds": seconds}]
    for precision in PRECISIONS:
        found, seconds = read(model, precision, texts, arguments.threads)
        cases.append({"precision": precision, **shifts(exact, found), "seconds": seconds})
        print(cases[-1], flush=True)
        report = {"documents": len(texts), "set": SET, "labels": LABELS, "close": CLOSE, "cases": cases}
        save("native_precision", {"torch": torch.__version__, "threads": arguments.threads, **report})


def read(model: Model, precision: str, texts: Sequence[str], threads: int) -> tuple[torch.Tensor, float]:
    """Probabilities [documents, labels], and the seconds of reading."""
    with open_engine("native", model, EngineOptions(precision=precision, threads=threads)) as engine:
        prompt = build_prompt(thresher.Task(LABELS), engine.tokenizer, model.chat).prompt
        requests = [
            Request(request_id=number, prompt=prompt, document_tokens=tokens)
            for number, tokens in enumerate(engine.tokenizer.encode_batch(list(texts)))
        ]
        start = time.perf_counter()
        scores = sorted(engine.score(requests), key=lambda found: found.request_id)
        seconds = round(time.perf_counter() - start, 1)
    return torch.tensor([found.answers[0].probabilities for found in scores], dtype=torch.float64), seconds


def shifts(exact: torch.Tensor, found: torch.Tensor) -> dict[str, Any]:
    best = exact.argmax(1, keepdim=True)
    shift = (exact - found).gather(1, best).abs().flatten()
    ranked = exact.sort(1, descending=True).values
    differ = found.argmax(1) != best.flatten()
    return {
        "mean_shift": shift.mean().item(),
        "shift_99_percent": shift.quantile(0.99).item(),
        "largest_shift": shift.max().item(),
        "labels_that_differ": int(differ.sum()),
        "labels_that_differ_and_are_not_close": int((differ & (ranked[:, 0] - ranked[:, 1] > CLOSE)).sum()),
    }


if __name__ == "__main__":
    main()
