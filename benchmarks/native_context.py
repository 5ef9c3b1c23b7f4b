"""How fast the native engine reads documents of one length, from 8K to 262K tokens, and in how much memory.

    python -m benchmarks.native_context --model 27B --precision fp8 [--lengths 8192 131072] [--out FILE]

Each length is held against its own ceiling: attention costs more the longer a document is. Random weights and tokens;
whether the answers are right is what ``native_prefill`` checks first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.native import ceilings
from benchmarks.native.random_model import RandomSource, open_random
from benchmarks.native.running import forget, read, versions
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import make_requests
from thresher.engines.native.engine import NativeEngine

_LENGTHS = (8192, 32_768, 65_536, 131_072, 262_144)
_PREFIX_TOKENS = 500


def main() -> None:
    arguments = _parse()
    device = torch.device(arguments.device or ("cuda:0" if torch.cuda.is_available() else "cpu"))
    config = SHAPES[arguments.model]
    measured = _ceilings(arguments, device)
    forget(device)
    with open_random(arguments.model, RandomSource(config, device), arguments.precision, device) as engine:
        result: dict[str, Any] = {
            "model": f"{arguments.model}, random weights",
            "precision": arguments.precision,
            "hardware": engine.info.device,
            "versions": versions(),
            "ceilings": measured.to_json(),
            "lengths": [],
        }
        _read_length(engine, arguments.lengths[0], arguments, device)  # to warm up
        for length in arguments.lengths:
            row = _read_length(engine, length, arguments, device)
            row |= _against_ceiling(row, measured, ceilings.core_flops(config, row["length"]))
            result["lengths"].append(row)
            print(_line(row), flush=True)
            if arguments.out:  # after every length: a lent machine may go away
                arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _line(row: dict[str, Any]) -> str:
    peak = "" if row["peak_device_bytes"] is None else f", peak {row['peak_device_bytes'] / 2**30:.1f} GiB"
    return (
        f"{row['length']:>8,} tokens x {row['documents']}: {row['tokens_per_second']:>9,.0f} tokens/s, "
        f"{row['share_of_ceiling']:.0%} of {row['ceiling']:,.0f}, {row['share_of_sustained_ceiling']:.0%} of "
        f"{row['sustained_ceiling']:,.0f} sustained{peak}"
    )


def _ceilings(arguments: argparse.Namespace, device: torch.device) -> ceilings.Ceilings:
    if arguments.ceilings:
        return ceilings.Ceilings(**json.loads(arguments.ceilings.read_text(encoding="utf-8"))["ceilings"])
    rows = 16_384 if device.type == "cuda" else 256
    return ceilings.measure(SHAPES[arguments.model], arguments.precision, device, rows, 0)


def _read_length(
    engine: NativeEngine, length: int, arguments: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    """As many documents of ``length`` tokens, prefix and suffix counted, as ``--tokens`` holds; at least one."""
    forget(device)
    count = max(1, arguments.tokens // length)
    length = min(length, engine.info.largest_request_tokens - 1)  # the answer's token counts too
    vocabulary = SHAPES[arguments.model].vocabulary_size
    found = read(engine, make_requests(min(_PREFIX_TOKENS, length // 2), [length] * count, vocabulary, seed=length))
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"length": length, "documents": count, **found, "peak_device_bytes": peak}


def _against_ceiling(row: dict[str, Any], measured: ceilings.Ceilings, core_flops: float) -> dict[str, float]:
    """``measured`` is of documents of another length: attention is counted for this one."""
    seconds = core_flops / measured.core_flops_per_second - measured.core_seconds_per_token
    burst, sustained = (
        1 / (1 / rate + seconds) for rate in (measured.tokens_per_second, measured.sustained_tokens_per_second)
    )
    return {
        "ceiling": burst,
        "sustained_ceiling": sustained,
        "share_of_ceiling": row["tokens_per_second"] / burst,
        "share_of_sustained_ceiling": row["tokens_per_second"] / sustained,
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="tiny")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--lengths", type=int, nargs="+", default=_LENGTHS)
    parser.add_argument("--tokens", type=int, default=131_072, help="tokens to read of each length, at least")
    parser.add_argument("--ceilings", type=Path, help="a result of native_prefill of the same machine and precision")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
