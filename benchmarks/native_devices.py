"""The native engine on one GPU and on all of them, in the same run: speed, answers, and what passing a pack on costs.

python -m benchmarks.native_devices --model 27B --precision fp8
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.native.random_model import RandomSource
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import make_requests, read_lengths, spread
from benchmarks.native_streaming import compared, measure, opened, read, versions
from thresher.engines.native.handover import Handover

_ROWS = 16_384
_BUSY = 8192  # a side of the products that keep the next device busy
_REPEATS = 7


def main() -> None:
    arguments = _parse()
    devices = [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    config = SHAPES[arguments.model]
    report: dict[str, Any] = {
        "devices": [torch.cuda.get_device_name(device) for device in devices],
        "peer_access": torch.cuda.can_device_access_peer(0, 1),
        "versions": versions(),
        "handover": time_handover(config.hidden_size, devices),
    }
    print(json.dumps(report["handover"], indent=1), flush=True)
    source = RandomSource(config, devices[0])
    prefix_tokens, lengths = read_lengths("seed-320")
    requests = make_requests(prefix_tokens, spread(lengths, arguments.documents), config.vocabulary_size, seed=7)
    report["cases"] = []
    expected = None
    for used in (devices, devices[:1]):
        with opened(arguments.model, source, arguments.precision, used, {}) as engine:
            read(engine, requests[:32])
            for _ in range(arguments.repeats):
                case, found = measure(engine, requests, devices[0])
                expected = found if expected is None else expected
                case |= {"devices": len(used)} | compared(found, expected)
                report["cases"].append(case)
                print(
                    f"{len(used)} GPUs: {case['tokens_per_second']:,.0f} tok/s, {case['labels_unlike_first']} labels "
                    f"differ (by {case['largest_difference_to_first']:.1e}), packs of {case['pack_tokens']}; "
                    f"{engine.info.notices}",
                    flush=True,
                )
                _save(report, arguments)
        gc.collect()
    best = {
        count: max(case["tokens_per_second"] for case in report["cases"] if case["devices"] == count)
        for count in (1, len(devices))
    }
    report["ratio"] = best[len(devices)] / best[1]
    print(f"{len(devices)} GPUs are {report['ratio']:.2f} times as fast as one", flush=True)
    _save(report, arguments)


def time_handover(width: int, devices: list[torch.device]) -> dict[str, float]:
    """Milliseconds to pass on a pack's residual stream, and how long a busy target holds up the source."""
    first, second = devices[:2]
    x = torch.randn(_ROWS, width, device=first).bfloat16()
    busy = torch.randn(_BUSY, _BUSY, device=second).bfloat16()
    handover = Handover(second)

    def plain() -> torch.Tensor:
        return x.to(second)

    def sent() -> torch.Tensor:
        return handover.send(x).x

    found = {"bytes": float(x.nbytes)}
    for name, run in (("plain copy", plain), ("handover", sent)):
        for load in (0, 40):
            key = f"{name}, target {'busy' if load else 'idle'}"
            runs = [_time_one(run, first, second, busy, load) for _ in range(_REPEATS)]
            found[f"{key}: source held up, ms"] = statistics.median(held for held, _ in runs)
            found[f"{key}: all done, ms"] = statistics.median(done for _, done in runs)
    return found


def _time_one(
    run: Callable[[], torch.Tensor], first: torch.device, second: torch.device, busy: torch.Tensor, load: int
) -> tuple[float, float]:
    """Milliseconds until the source's stream went on, and until everything was done everywhere."""
    torch.cuda.synchronize(first)
    torch.cuda.synchronize(second)
    start, gone_on, end = (torch.cuda.Event(enable_timing=True) for _ in range(3))  # type: ignore[no-untyped-call]
    with torch.cuda.device(second):
        for _ in range(load):
            torch.mm(busy, busy)
    with torch.cuda.device(first):
        start.record()
        copy = run()
        gone_on.record()
        torch.cuda.synchronize(second)
        torch.cuda.synchronize(first)
        end.record()
        torch.cuda.synchronize(first)
    del copy
    return start.elapsed_time(gone_on), start.elapsed_time(end)


def _save(report: dict[str, Any], arguments: argparse.Namespace) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"native_devices_{arguments.model}_{arguments.precision}.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SHAPES, default="27B")
    parser.add_argument("--precision", default="fp8")
    parser.add_argument("--documents", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
