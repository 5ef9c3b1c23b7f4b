"""How idle OpenMP threads should wait: documents read by the in-process engine under each way of waiting.

    python -m benchmarks.llamacpp_waiting [--model demo] [--rounds 3]

Every way runs in a process of its own, in turns, on free cores and beside one busy process for each core. Compared with
sleeping at once (``OMP_WAIT_POLICY=passive``), as medians of wall and of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.documents import make_documents
from benchmarks.machine import save
from thresher.engines import open_engine
from thresher.models import open_model, resolve
from thresher.tasks import Task, build_prompt
from thresher.types import Request

WAYS = {
    "sleep at once": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"},
    "as Thresher sets it": {},
    "10,000 spins": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"},
    "50,000 spins": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "50000"},
}
#: Document tokens -> documents.
CASES = {60: 30, 1000: 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--read", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.model, arguments.read, CASES[arguments.read])))
        return
    save("llamacpp_waiting", {"rounds": arguments.rounds, "cases": measure(arguments.model, arguments.rounds)})


def read(model: str, tokens: int, count: int) -> dict[str, float]:
    """Wall and processor seconds of reading ``count`` documents, after one that warms up."""
    opened = open_model(resolve(model))
    with open_engine("llamacpp", opened) as engine:
        prompt = build_prompt(Task(["invoice", "letter", "other"]), engine.tokenizer, opened.chat).prompt
        if opened.tokenizer is None:
            raise SystemExit(f"{model}: its vocabulary can only be read by llama.cpp")
        texts = make_documents(opened.tokenizer, [tokens] * (count + 1), seed=3)
        requests = [
            Request(request_id=number, prompt=prompt, document_tokens=engine.tokenizer.encode(text))
            for number, text in enumerate(texts)
        ]
        list(engine.score(requests[:1]))
        start, processor_start = time.perf_counter(), time.process_time()
        list(engine.score(requests[1:]))
        return {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - processor_start}


def measure(model: str, rounds: int) -> list[dict[str, Any]]:
    """Every case on free and on busy cores, with each way's times as multiples of sleeping at once."""
    cases = []
    for busy in (False, True):
        for tokens in CASES:
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            burners = [_burn() for _ in range(os.cpu_count() or 1)] if busy else []
            try:
                for _ in range(rounds):
                    for way, variables in WAYS.items():
                        found[way].append(_read_in_process(model, tokens, variables))
            finally:
                for burner in burners:
                    burner.kill()
                    burner.wait()
            cases.append({"document_tokens": tokens, "busy_cores": busy, "ways": _compared(found)})
    return cases


def _read_in_process(model: str, tokens: int, variables: dict[str, str]) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")} | variables
    command = [sys.executable, "-m", "benchmarks.llamacpp_waiting", "--model", model, "--read", str(tokens)]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    times: dict[str, float] = json.loads(result.stdout)
    return times


def _burn() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "while True: pass"])


def _compared(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    medians = {
        way: {key: statistics.median(times[key] for times in all_times) for key in ("seconds", "processor_seconds")}
        for way, all_times in found.items()
    }
    base = medians["sleep at once"]
    return {way: {key: value / base[key] for key, value in times.items()} for way, times in medians.items()}


if __name__ == "__main__":
    main()
