"""How fast GGUF's types become bfloat16 on one core, beside a copy of the same bytes.

    python -m benchmarks.native_weights --out benchmarks/results/native_weights.json

Processor time is counted and not the clock's, the best of a number of rounds, so that other load on the machine matters
less.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.machine import machine
from thresher.engines.native.weights.dequantize import DEQUANTIZERS, dequantize
from thresher.models.ggml_types import TENSOR_TYPES

VALUES = 8 * 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    source = torch.zeros(2 * VALUES, dtype=torch.uint8)
    target = torch.empty_like(source)
    copy_s = best_s(lambda: target.copy_(source), arguments.rounds)
    types = [measure(name, copy_s, arguments.rounds) for name in DEQUANTIZERS]
    report = {
        "machine": machine(),
        "torch": torch.__version__,
        "values": VALUES,
        "copy_gigabytes_per_second": round(2 * VALUES / copy_s / 1e9, 2),
        "types": types,
    }
    print(f"copy {report['copy_gigabytes_per_second']} GB/s")
    for row in types:
        print(f"{row['type']:<8}{row['gigavalues_per_second']:>6.2f} Gvalues/s   copy {row['share_of_copy']:.0%}")
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


def measure(name: str, copy_s: float, rounds: int) -> dict[str, str | float]:
    kind = next(kind for kind in TENSOR_TYPES.values() if kind.name == name)
    size = VALUES // kind.block_elements * kind.block_bytes
    raw = torch.randint(0, 60, (size,), dtype=torch.uint8)  # any such bytes are finite floats
    spent_s = best_s(lambda: dequantize(raw, name, torch.bfloat16), rounds)
    return {
        "type": name,
        "gigavalues_per_second": round(VALUES / spent_s / 1e9, 3),
        "share_of_copy": round(copy_s / spent_s, 3),
    }


def best_s(work: Callable[[], object], rounds: int) -> float:
    work()
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


if __name__ == "__main__":
    main()
