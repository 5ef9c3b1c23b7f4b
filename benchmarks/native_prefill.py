"""How fast the native engine reads, and how near that is to what the machine can do.

    python -m benchmarks.native_prefill --model 27B --precision bf16 fp8 [--documents 320] [--out FOLDER]

The model has its published sizes and random weights, made on the device; the documents have the lengths of a workload
and random tokens. First everything is checked against plain arithmetic: no speed is printed when that fails. Then the
ceilings are measured, then the reading, undisturbed, then one pass under the profiler.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.native import ceilings, checks
from benchmarks.native.ceilings import Ceilings
from benchmarks.native.profile import profile_pass
from benchmarks.native.random_model import RandomSource, open_random
from benchmarks.native.running import forget, read, versions
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import make_requests, read_lengths, spread
from thresher.engines.native.config import NativeConfig
from thresher.engines.native.engine import NativeEngine

_WARM_UP_DOCUMENTS = 12
_PROFILED_DOCUMENTS = 16


def main() -> None:
    arguments = _parse()
    device = torch.device(arguments.device or ("cuda:0" if torch.cuda.is_available() else "cpu"))
    kernel_errors = checks.check_kernels(device)
    for precision in arguments.precision:
        errors = kernel_errors | checks.check_model(device, precision)
        _print_errors(errors)
        wrong = checks.failures(errors)
        if wrong:
            raise SystemExit("wrong results, so no speed is measured:\n  " + "\n  ".join(wrong))
        result = measure(arguments, precision, device) | {"errors": errors}
        print(table(result), flush=True)
        if arguments.out:
            arguments.out.mkdir(parents=True, exist_ok=True)
            file = arguments.out / f"native_prefill_{arguments.model}_{precision}.json"
            file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def measure(arguments: argparse.Namespace, precision: str, device: torch.device) -> dict[str, Any]:
    """All figures of one precision."""
    config = SHAPES[arguments.model]
    prefix_tokens, lengths = read_lengths(arguments.workload)
    chosen = lengths if arguments.documents >= len(lengths) else spread(lengths, arguments.documents)
    settings = {name: getattr(arguments, name) for name in ("pack_tokens", "step_tokens") if getattr(arguments, name)}
    rows = arguments.step_tokens or (16_384 if device.type == "cuda" else 256)
    ceiling = ceilings.measure(config, precision, device, rows, sum(chosen) / len(chosen))
    forget(device)
    with open_random(arguments.model, RandomSource(config, device), precision, device, settings) as engine:
        warm_up = spread(lengths, min(_WARM_UP_DOCUMENTS, len(chosen)))
        read(engine, make_requests(prefix_tokens, warm_up, config.vocabulary_size, seed=1))
        runs = [
            read(engine, make_requests(prefix_tokens, chosen, config.vocabulary_size, seed=2 + index))
            for index in range(arguments.repeats)
        ]
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        breakdown = _profile(engine, prefix_tokens, lengths, config) if device.type == "cuda" else None
        device_name = engine.info.device
    forget(device)
    median = sorted(runs, key=lambda run: float(run["tokens_per_second"]))[len(runs) // 2]
    return {
        **median,
        "runs": runs,
        "precision": precision,
        "model": f"{arguments.model}, random weights",
        "workload": f"{arguments.workload}, {len(chosen)} of {len(lengths)} documents",
        "settings": settings,
        "hardware": {
            "device": device_name,
            "cpu_threads": torch.get_num_threads(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "versions": versions(),
        "ceilings": ceiling.to_json(),
        "shares": shares(median["tokens_per_second"], ceiling, breakdown),
        "peak_device_bytes": peak,
        "profile": breakdown,
    }


def _profile(engine: NativeEngine, prefix_tokens: int, lengths: list[int], config: NativeConfig) -> dict[str, Any]:
    """Where the time of a few documents goes; ``tokens`` are those that were computed."""
    requests = make_requests(prefix_tokens, spread(lengths, _PROFILED_DOCUMENTS), config.vocabulary_size)
    found: dict[str, Any] = {}
    return profile_pass(lambda: found.update(read(engine, requests))) | {"tokens": found["computed_tokens"]}


def shares(tokens_per_second: float, ceiling: Ceilings, profiled: dict[str, Any] | None) -> dict[str, float]:
    """Of the ceiling, by where the multiplies' rate is from: bursts, seconds on end, or the reading itself.

    Bursts of milliseconds are over before the card's power limit is reached, so no long reading comes near theirs.
    """
    found = {
        "multiplies as in bursts": tokens_per_second / ceiling.tokens_per_second,
        "multiplies as for seconds": tokens_per_second / ceiling.sustained_tokens_per_second,
    }
    if profiled is not None:
        multiplies_s = profiled["components"]["matrix multiplies"] / profiled["tokens"]
        least_s = multiplies_s + ceiling.core_seconds_per_token + ceiling.traffic_seconds_per_token
        found["multiplies as in the reading"] = tokens_per_second * least_s
    return found


def table(result: dict[str, Any]) -> str:
    """The figures for people."""
    ceiling = result["ceilings"]
    lines = [
        f"{result['model']}, {result['precision']}, {result['hardware']['device']}: {result['workload']}",
        f"  {result['tokens_per_second']:,.0f} tokens/s computed ({result['prompt_tokens_per_second']:,.0f} with the "
        f"shared prefix), {result['documents_per_second']:.2f} documents/s, {result['seconds']:.1f} s",
        f"  multiplies at {ceiling['matmul_flops_per_second'] / 1e12:,.4g} TFLOP/s in bursts and "
        f"{ceiling['sustained_matmul_flops_per_second'] / 1e12:,.4g} for seconds, copies at "
        f"{ceiling['copy_bytes_per_second'] / 1e12:.3g} TB/s",
        *(f"  {share:6.1%}  of the ceiling, {kind}" for kind, share in result["shares"].items()),
    ]
    if result["peak_device_bytes"] is not None:
        lines.append(f"  peak {result['peak_device_bytes'] / 2**30:.1f} GiB")
    if result["profile"]:
        seconds = result["profile"]["seconds"]
        shares = sorted(result["profile"]["components"].items(), key=lambda item: -item[1])
        lines += [f"  {spent / seconds:6.1%}  {name}" for name, spent in shares]
    return "\n".join(lines)


def _print_errors(errors: dict[str, float]) -> None:
    for name, error in errors.items():
        sys.stderr.write(f"  relative error {error:.2e}  {name}\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="tiny")
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--workload", default="seed-320")
    parser.add_argument("--documents", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--pack-tokens", type=int)
    parser.add_argument("--step-tokens", type=int)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
