"""The process that measures one case: a crash, or the kernel's killing it for its memory, is a row and not an end.

It reads a case as JSON from its standard input and writes what it finds out as lines of JSON to the standard output
that it was started with; whatever libraries print goes to the standard error. It ends when its input is closed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from thresher.bench.cases import Case
from thresher.bench.documents import made_up_document, made_up_task
from thresher.bench.measurement import Repetition
from thresher.engines import Engine, EngineInfo
from thresher.errors import EngineCapacityError, ThresherError
from thresher.pipeline import ClassifyOptions
from thresher.pipeline.admission import Admitted
from thresher.pipeline.opening import Opened, find_model, open_chosen
from thresher.pipeline.setup import put_into_tokens
from thresher.tasks import Task, TaskPrompt
from thresher.types import Request, Scores

#: What is asked of a user's own documents; how long it takes does not depend on it.
_OWN_LABELS = ("letter", "report", "contract", "table", "other")
Say = Callable[[dict[str, Any]], None]
#: Read before the clock is started: kernels are compiled, memory is touched, the prefix is in place.
_WARM_UP_REQUESTS = 2


def main() -> None:
    """Measure the case on standard input."""
    say = _own_output()
    case = Case.from_json(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        measure(case, say)
    except EngineCapacityError as error:
        say({"event": "failed", "kind": "out_of_memory", "reason": str(error)})
    except MemoryError:
        say({"event": "failed", "kind": "out_of_memory", "reason": "no memory was left"})
    except ThresherError as error:
        say({"event": "failed", "kind": "engine_error", "reason": str(error)})


def measure(case: Case, say: Say) -> None:
    """Open the engine, warm it up, read the workload as often as asked; ``say`` is told of each step."""
    options = _options(case)
    start = time.monotonic()
    opened = open_chosen(find_model(case.models if len(case.models) > 1 else case.models[0], options), options)
    with opened.engine as engine:
        say({"event": "opened", "load_seconds": time.monotonic() - start, **_stated(engine.info)})
        work = _work(case, opened, options)
        for _ in _scored(engine, work.requests()[:_WARM_UP_REQUESTS], case.concurrency):
            pass
        for _ in range(case.repetitions):
            repetition, answers = _repetition(engine, work, case.concurrency)
            say({"event": "repetition", **asdict(repetition)})
            say({"event": "answers", **answers})
    say({"event": "done", "peak_device_bytes": _device_peak_bytes()})


def _options(case: Case) -> ClassifyOptions:
    return ClassifyOptions(
        engine=case.engine, precision=case.precision, context_tokens=case.context_tokens, threads=case.threads,
        device=case.device, weights_memory_bytes=case.weights_memory_bytes, tokenizer=case.tokenizer,
        settings=case.settings, use_profile=False,
    )  # fmt: skip


def _stated(info: EngineInfo) -> dict[str, Any]:
    return {
        "engine": info.engine, "precision": info.precision, "model": info.model, "version": info.version,
        "device": info.device, "notices": list(info.notices),
    }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """The documents of the workload in the tokens of the engine's model."""

    task_prompt: TaskPrompt
    documents: Sequence[Sequence[int]]

    def requests(self) -> list[Request]:
        prompt = self.task_prompt.prompt
        return [
            Request(request_id=number, prompt=prompt, document_tokens=tokens)
            for number, tokens in enumerate(self.documents)
        ]


def _work(case: Case, opened: Opened, options: ClassifyOptions) -> _Work:
    workload = json.loads(Path(case.workload_file).read_text("utf-8"))
    tokenizer = opened.engine.tokenizer
    if workload["texts"]:
        task_prompt, admission = put_into_tokens(Task(_OWN_LABELS), opened, options.long_policy)
        admitted = [reading for _, reading in admission.admit_texts(workload["texts"])]
        return _Work(task_prompt, [reading.windows[0] for reading in admitted if isinstance(reading, Admitted)])
    task = made_up_task(tokenizer, workload["prefix_tokens"])
    task_prompt, _ = put_into_tokens(task, opened, options.long_policy)
    lengths = workload["document_tokens"]
    return _Work(task_prompt, [made_up_document(tokenizer, tokens, seed) for seed, tokens in enumerate(lengths, 1)])


def _repetition(engine: Engine, work: _Work, concurrency: int | None) -> tuple[Repetition, dict[str, Any]]:
    """One pass, and the answers that it gave."""
    computed = cached = 0
    latencies: list[float] = []
    labels = [""] * len(work.documents)
    probabilities: list[float | None] = [None] * len(work.documents)
    reasons: list[str] = []
    start = time.perf_counter()
    for scores, latency in _scored(engine, work.requests(), concurrency):
        computed += scores.computed_tokens
        cached += scores.cached_tokens
        if scores.failure is not None:
            reasons.append(scores.failure.reason)
            continue
        latencies.append(latency)
        (verdict,) = work.task_prompt.verdicts(scores.answers)
        labels[scores.request_id] = str(verdict.label)
        probabilities[scores.request_id] = verdict.probability
    repetition = Repetition(
        seconds=time.perf_counter() - start, computed_tokens=computed, cached_tokens=cached, failed=len(reasons),
        latencies_s=tuple(latencies),
    )  # fmt: skip
    return repetition, {"labels": labels, "probabilities": probabilities, "reasons": reasons[:1]}


def _scored(engine: Engine, requests: Sequence[Request], concurrency: int | None) -> Iterator[tuple[Scores, float]]:
    """Every answer, and the seconds since its request was given to the engine."""
    for batch in _batches(requests, engine.info, concurrency):
        given = time.perf_counter()
        for scores in engine.score(batch):
            yield scores, time.perf_counter() - given


def _batches(requests: Sequence[Request], info: EngineInfo, concurrency: int | None) -> Iterator[list[Request]]:
    """Requests as the pipeline would give them, or ``concurrency`` at a time."""
    batch: list[Request] = []
    tokens = 0
    for request in requests:
        full = len(batch) >= (concurrency or info.batch_requests)
        over = concurrency is None and tokens + len(request.document_tokens) > info.batch_tokens
        if batch and (full or over):
            yield batch
            batch, tokens = [], 0
        batch.append(request)
        tokens += len(request.document_tokens)
    if batch:
        yield batch


def _device_peak_bytes() -> int | None:
    """Of torch's memory on the GPUs, where torch is what computes."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return sum(int(torch.cuda.max_memory_allocated(device)) for device in range(torch.cuda.device_count()))


def _own_output() -> Say:
    """Lines of JSON to the output that the process was started with; everything else goes to its standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(event: dict[str, Any]) -> None:
        stream.write(json.dumps(event) + "\n")
        stream.flush()

    return say


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent is gone
    os._exit(1)


if __name__ == "__main__":
    main()
