"""How fast each precision multiplies on this device, beside bf16 in the same run.

    python -m benchmarks.native_linear --tokens 8192 --out benchmarks/results/native_linear.json

Shapes are those of Qwen3.5-27B's feed-forward. "multiply" is the multiplication of activations that are quantized
already, "call" quantizes them first; their difference is what a fused norm and quantization could save. The precisions
take turns, and medians are compared.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.machine import machine
from thresher.engines.native.linear import PRECISIONS, empty_linear
from thresher.engines.native.linear.storage import StoredLinear

SHAPES = {"gate_proj": (17408, 5120), "down_proj": (5120, 17408)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precisions", nargs="*", choices=PRECISIONS, default=["int8", "fp8", "nvfp4-bf16"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    cases = [
        case
        for name, shape in SHAPES.items()
        for case in run_shape(
            name, shape, ["bf16", *arguments.precisions], arguments.tokens, arguments.rounds, arguments.device
        )
    ]
    for case in cases:
        print(
            f"{case['weight']:<10} {case['precision']:<11} multiply {case['multiply_teraflops']:>7.1f} TFLOP/s"
            f"  call {case['call_teraflops']:>7.1f}  bf16 x {case['call_over_bf16']:.2f}"
        )
    if arguments.out:
        device = torch.cuda.get_device_name() if arguments.device == "cuda" else "cpu"
        report = {"machine": machine(), "torch": torch.__version__, "device": device, "tokens": arguments.tokens}
        arguments.out.write_text(json.dumps({**report, "cases": cases}, indent=2) + "\n")


def run_shape(
    name: str, shape: tuple[int, int], precisions: list[str], tokens: int, rounds: int, device: str
) -> list[dict[str, str | float]]:
    x = torch.randn(tokens, shape[1], device=device, dtype=torch.bfloat16)
    work: dict[tuple[str, str], Callable[[], object]] = {}
    for precision in precisions:
        linear = empty_linear(*shape, precision, device)
        assert isinstance(linear, StoredLinear)
        quantized = linear.quantize_activation(x)
        work[precision, "multiply"] = functools.partial(linear.multiply, quantized)
        work[precision, "call"] = functools.partial(linear, x)
    spent = take_turns(work, rounds, device)
    flop = 2 * tokens * shape[0] * shape[1]
    return [
        {
            "weight": name,
            "precision": precision,
            "multiply_teraflops": round(flop / spent[precision, "multiply"] / 1e12, 2),
            "call_teraflops": round(flop / spent[precision, "call"] / 1e12, 2),
            "call_over_bf16": round(spent["bf16", "call"] / spent[precision, "call"], 3),
        }
        for precision in precisions
    ]


def take_turns(
    work: dict[tuple[str, str], Callable[[], object]], rounds: int, device: str
) -> dict[tuple[str, str], float]:
    """Median seconds of each."""
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in work}
    for _ in range(rounds + 1):
        for key, run in work.items():
            synchronize(device)
            start = time.perf_counter()
            run()
            synchronize(device)
            spent[key].append(time.perf_counter() - start)
    return {key: statistics.median(times[1:]) for key, times in spent.items()}


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
