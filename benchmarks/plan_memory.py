"""How much memory engines take in this process, beside what the plan says: random-weight models of half a gigabyte.

    python -m benchmarks.plan_memory

Every case runs in a process of its own. It loads the engine's library, and that is its empty size; then it opens the
model, reads documents, and ends. What counts is the peak of resident memory above the empty size, against the bytes of
the plan for the same engine, precision and context. llama.cpp takes its context whole as soon as a request needs it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.machine import save
from benchmarks.random_models import write_random_model
from tests.support.prompts import make_prompt
from thresher.engines import EngineOptions, open_engine
from thresher.engines.registry import probe
from thresher.hardware import probe_hardware
from thresher.models import open_model, outline, resolve
from thresher.planning import Setting, plan_one
from thresher.types import Request

_LABELS = ("invoice", "contract", "minutes")
_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One engine on one model, and what it reads: prefix and answer counted in ``request_tokens``."""

    engine: str
    model: str
    precision: str
    context_tokens: int
    request_tokens: int
    requests: int = 1

    @property
    def pack_tokens(self) -> int:
        """Native: all of it in one pass."""
        return self.request_tokens * self.requests


CASES = (
    Case(engine="llamacpp", model="hybrid-0.5b", precision="Q8_0", context_tokens=4096, request_tokens=600),
    Case(engine="llamacpp", model="dense-0.6b", precision="Q8_0", context_tokens=4096, request_tokens=600),
    Case(engine="llamacpp", model="dense-0.6b", precision="Q8_0", context_tokens=2048, request_tokens=600),
    Case(engine="native", model="hybrid-0.5b", precision="fp32", context_tokens=1024, request_tokens=1024),
    Case(engine="native", model="dense-0.6b", precision="fp32", context_tokens=1024, request_tokens=1024),
    Case(engine="native", model="hybrid-0.5b", precision="bf16", context_tokens=1024, request_tokens=256, requests=4),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the random models are written, and kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(run_one(CASES[arguments.one], arguments.folder, arguments.threads)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        arguments.folder = arguments.folder or Path(temporary)
        measure_all(arguments)


def measure_all(arguments: argparse.Namespace) -> None:
    for name in sorted({case.model for case in CASES}):
        if not (arguments.folder / f"{name}.gguf").exists():
            write_random_model(name, arguments.folder)
    found = [{**asdict(case), **in_a_process(number, arguments)} for number, case in enumerate(CASES)]
    save("plan_memory", {"torch": version("torch"), "tolerance": _TOLERANCE, "cases": found})
    worst = max(abs(case["ratio"] - 1) for case in found)
    print(f"the plan is at most {worst:.1%} off", file=sys.stderr)
    if worst > _TOLERANCE:
        raise SystemExit(f"more than {_TOLERANCE:.0%} off")


def in_a_process(number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plan_memory", "--one", str(number)]
    command += ["--folder", str(arguments.folder), "--threads", str(arguments.threads)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(result.stdout)
    print(CASES[number], json.dumps(found), file=sys.stderr, flush=True)
    return found


def run_one(case: Case, folder: Path, threads: int) -> dict[str, Any]:
    reference = str(folder / f"{case.model}.gguf")
    setting = Setting(
        engine=case.engine,
        precision=case.precision,
        context_tokens=case.request_tokens if case.engine == "native" else case.context_tokens,
        pack_tokens=case.pack_tokens,
    )
    fit = plan_one(outline(reference), probe_hardware(), setting)
    if not probe(case.engine).available:
        raise SystemExit(f"{case.engine} cannot run here")
    empty = _status_bytes("VmRSS")
    options = EngineOptions(
        precision=case.precision if case.engine == "native" else "auto",
        context_tokens=case.context_tokens,
        threads=threads,
        device="cpu",
        settings={"pack_tokens": case.pack_tokens} if case.engine == "native" else {},
    )
    with open_engine(case.engine, open_model(resolve(reference)), options) as engine:
        prompt = make_prompt(engine.tokenizer, _LABELS)
        length = case.request_tokens - prompt.overhead_tokens()
        tokens = engine.tokenizer.encode("a list of words, and another one. " * (length // 4))[:length]
        requests = [
            Request(request_id=number, prompt=prompt, document_tokens=tokens) for number in range(case.requests)
        ]
        for scores in engine.score(requests):
            if scores.failure is not None:
                raise SystemExit(scores.failure.reason)
        peak = _status_bytes("VmHWM")
    growth = peak - empty
    return {
        "weights_file_bytes": Path(reference).stat().st_size,
        "empty_bytes": empty,
        "peak_bytes": peak,
        "growth_bytes": growth,
        "planned_bytes": fit.bytes,
        "planned_parts": dict(fit.parts),
        "ratio": fit.bytes / growth,
    }


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
