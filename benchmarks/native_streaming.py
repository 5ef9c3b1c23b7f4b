"""What weights that do not fit the card cost: the native engine with less and less memory, on random weights.

    python -m benchmarks.native_streaming checks
    python -m benchmarks.native_streaming 27B --precision fp8 --card 0 31 24 12 [--packs 8192 16384 32768]
    python -m benchmarks.native_streaming 397B-A17B --precision nvfp4-fp8 --weights 122 --packs 65536 131072

The card is made smaller than it is by the allocator's limit. Each size is measured with the same documents, in the
lengths of a real job, and their answers are compared with those of the first size. Nothing is timed before ``checks``
has passed. Results are written after every case.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.native import checks
from benchmarks.native.card import GIB, card_of, copy_rate, host_of, used_bytes
from benchmarks.native.compute_format import random_layers
from benchmarks.native.moe_checks import check_moe_kernels, time_moe
from benchmarks.native.profile import profile_pass
from benchmarks.native.random_model import RandomSource, open_random
from benchmarks.native.shapes import SHAPES
from benchmarks.native.workload import make_requests, read_lengths, spread
from thresher.engines.native.engine import NativeEngine
from thresher.engines.native.pack import Pack
from thresher.engines.native.sizing import Sizes
from thresher.types import Request, Scores

_PACKAGES = ("torch", "triton", "fla-core", "fa3-fwd", "numpy")
#: What torch, the head and a pack's activations are left of a card of so many GiB, in GiB.
_LEFT = 5.5


def main() -> None:
    arguments = _parse()
    device = torch.device("cuda:0")
    report: dict[str, Any] = {"device": torch.cuda.get_device_name(device), "versions": versions()}
    if arguments.model == "checks":
        run_checks(report, device, arguments.out)
    else:
        run_model(report, device, arguments)


def run_checks(report: dict[str, Any], device: torch.device, out: Path) -> None:
    """Kernels against plain torch; streamed and resident layers against one another."""
    report["errors"] = check_moe_kernels(device)
    for name, error in report["errors"].items():
        print(f"  {error:.2e}  {name}", flush=True)
    _save(report, out, "checks")
    for name, precision, layers in (
        ("check", "bf16", 3),
        ("check", "fp8", 3),
        ("check-moe", "bf16", 2),
        ("check-moe", "nvfp4-fp8", 2),
        ("397B-A17B, 4 layers", "nvfp4-fp8", 2),
    ):
        case = f"streamed and resident, {name}, {precision}"
        report["errors"][case] = _streamed_error(name, precision, layers, device)
        print(f"  {report['errors'][case]:.2e}  {case}", flush=True)
        _save(report, out, "checks")
    _refuse_wrong(report["errors"])
    report["experts"] = [
        time_moe(SHAPES["397B-A17B"], SHAPES["397B-A17B"].moe, device, tokens)  # type: ignore[arg-type]
        for tokens in (16_384, 32_768)
    ]
    for times in report["experts"]:
        for name, found in times.items():
            print(f"  {name:<36} {found}", flush=True)
    report["copy_bytes_per_second"] = copy_rate(device)
    print(f"  pinned memory to the card: {report['copy_bytes_per_second'] / 1e9:.1f} GB/s", flush=True)
    _save(report, out, "checks")


def _refuse_wrong(errors: dict[str, float]) -> None:
    limits = {"kernel exact": 0.0, "alone and with others": 0.0, "streamed and resident": 0.0, **checks.LIMITS}
    wrong = [
        f"{name}: {error:.3g}"
        for name, error in errors.items()
        if not error <= next(limit for key, limit in limits.items() if name.startswith(key))
    ]
    if wrong:
        raise SystemExit("wrong results:\n  " + "\n  ".join(wrong))


def _streamed_error(name: str, precision: str, kept: int, device: torch.device) -> float:
    """Largest difference of a probability between all layers resident and ``kept`` of them."""
    source = RandomSource(SHAPES[name], device)
    requests = make_requests(100, [150, 900, 111, 2100, 340], source.config.vocabulary_size)
    settings = {"pack_tokens": 2048, "step_tokens": 1024}
    found = []
    for limit in (None, kept):
        with host_of(100 * GIB), opened(name, source, precision, device, settings, layers=limit) as engine:
            found.append(probabilities(list(engine.score(requests))))
    return float((found[0] - found[1]).abs().max())


@contextmanager
def opened(
    name: str,
    source: RandomSource,
    precision: str,
    device: torch.device | Sequence[torch.device],
    settings: dict[str, int],
    *,
    layers: int | None = None,
    weights: int | None = None,
) -> Iterator[NativeEngine]:
    """``layers``: how many of the largest to give memory for; or ``weights``, bytes."""
    from thresher.engines.native.streaming import layer_formats

    if layers is not None:
        weights = layers * max(form.block_bytes for form in layer_formats(source.config, precision))
    with random_layers(), open_random(name, source, precision, device, settings, weights) as engine:
        yield engine
    _forget()


def run_model(report: dict[str, Any], device: torch.device, arguments: argparse.Namespace) -> None:
    """Every card size and pack size asked for."""
    config = SHAPES[arguments.model]
    if config.moe is not None:
        report["errors"] = check_moe_kernels(device)
        print(json.dumps(report["errors"], indent=1), flush=True)
        _refuse_wrong(report["errors"])
    report["copy_bytes_per_second"] = copy_rate(device)
    report["cases"] = []
    prefix_tokens, lengths = read_lengths("seed-320")
    requests = make_requests(prefix_tokens, spread(lengths, arguments.documents), config.vocabulary_size, seed=7)
    source = RandomSource(config, device)
    for card in arguments.card:
        weights = arguments.weights or (max(1.5, card - _LEFT) if card else 0)
        with card_of(_bytes(card), device), host_of(_bytes(arguments.host)):
            start = time.perf_counter()
            settings = {"step_tokens": arguments.step} if arguments.step else {}
            with opened(
                arguments.model, source, arguments.precision, device, settings, weights=_bytes(weights)
            ) as engine:
                about = {"card_gib": card, "weights_gib": weights, "opening_seconds": time.perf_counter() - start}
                print(f"open after {about['opening_seconds']:.0f} s, {engine.info.notices}", flush=True)
                _measure_packs(report, about, engine, requests, device, arguments)


def _measure_packs(
    report: dict[str, Any],
    about: dict[str, Any],
    engine: NativeEngine,
    requests: list[Request],
    device: torch.device,
    arguments: argparse.Namespace,
) -> None:
    name = f"{arguments.model}_{arguments.precision}"
    read(engine, requests[: arguments.warm_up])  # the prefix too, which is read once for a whole job
    opened_with = engine._sizes
    for pack, step in arguments.packs or [(opened_with.pack_rows, None)]:
        _resize(engine, opened_with, pack, step)
        for _ in range(arguments.repeats):
            case, found = measure(engine, requests, device)
            expected = report.setdefault("probabilities", found.tolist())  # of the first case
            case |= about | {"asked_pack_tokens": pack, "asked_step_tokens": step or arguments.step}
            case |= compared(found, torch.tensor(expected, dtype=torch.float64))
            report["cases"].append(case)
            print(_line(case, arguments), flush=True)
            _save(report, arguments.out, name)
    if arguments.profile:
        report["profile"] = profile_pass(lambda: read(engine, requests[: arguments.profile]))
        print(json.dumps(report["profile"]["components"], indent=1), flush=True)
        _save(report, arguments.out, name)


def _resize(engine: NativeEngine, opened_with: Sizes, pack_rows: int, step_rows: int | None) -> None:
    """Other packs for an engine that stays open: opening one again would take a minute.

    Settings of an engine that opens are cut to its memory; these are not.
    """
    sizes = replace(opened_with, pack_rows=pack_rows)
    if step_rows is not None:
        sizes = replace(sizes, step_rows=step_rows)
    engine._sizes, engine._pack_rows = sizes, pack_rows
    assert engine._reader is not None
    engine._reader._sizes = sizes


def measure(engine: NativeEngine, requests: list[Request], device: torch.device) -> tuple[dict[str, Any], torch.Tensor]:
    torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    with packs_read(engine) as packs:
        found = read(engine, requests)
    seconds = time.perf_counter() - start
    tokens = sum(scores.computed_tokens for scores in found)
    return {
        "tokens_per_second": tokens / seconds,
        "seconds": seconds,
        "computed_tokens": tokens,
        "documents": len(found),
        "packs": packs,
        "pack_tokens": max(pack["tokens"] for pack in packs),
        "step_tokens": max(pack["longest_step"] for pack in packs),
        "peak_allocated_bytes": torch.cuda.max_memory_allocated(device),
        "peak_reserved_bytes": torch.cuda.max_memory_reserved(device),
        "notices": list(engine.info.notices),
    }, probabilities(found)


@contextmanager
def packs_read(engine: NativeEngine) -> Iterator[list[dict[str, int]]]:
    """The sizes of packs as they are given to the model, and of their steps."""
    found: list[dict[str, int]] = []
    assert engine._reader is not None
    pipeline = engine._reader._pipeline
    run = pipeline.run

    def recorded(pack: Pack, *rest: Any) -> Any:
        longest = max(step.stop - step.start for step in pack.steps)
        found.append({"tokens": len(pack.tokens), "steps": len(pack.steps), "longest_step": longest})
        return run(pack, *rest)

    with patch.object(pipeline, "run", recorded):
        yield found


def read(engine: NativeEngine, requests: Sequence[Request]) -> list[Scores]:
    found = list(engine.score(requests))
    failed = [scores.failure for scores in found if scores.failure]
    if failed:
        raise SystemExit(f"a request failed: {failed[0].reason}")
    return found


def probabilities(found: list[Scores]) -> torch.Tensor:
    ordered = sorted(found, key=lambda scores: scores.request_id)
    return torch.tensor([scores.answers[0].probabilities for scores in ordered], dtype=torch.float64)


def compared(found: torch.Tensor, expected: torch.Tensor) -> dict[str, Any]:
    if not found.isfinite().all():
        raise SystemExit("a probability is not a number")
    flipped = found.argmax(1) != expected.argmax(1)
    return {
        "largest_difference_to_first": float((found - expected).abs().max()),
        "labels_unlike_first": int(flipped.sum()),
    }


def _line(case: dict[str, Any], arguments: argparse.Namespace) -> str:
    return (
        f"{arguments.model} {arguments.precision} card {case['card_gib'] or 'whole'} GiB, weights "
        f"{case['weights_gib'] or 'all'} GiB, packs of {case['pack_tokens']:,}, steps {case['step_tokens']:,}: "
        f"{case['tokens_per_second']:,.0f} tok/s, "
        f"peak {case['peak_reserved_bytes'] / GIB:.2f} GiB ({case['peak_allocated_bytes'] / GIB:.2f} in use), "
        f"{case['labels_unlike_first']} labels differ (by {case['largest_difference_to_first']:.1e})"
    )


def _bytes(gib: float | None) -> int | None:
    return int(gib * GIB) if gib else None


def _forget() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _save(report: dict[str, Any], out: Path, name: str) -> None:
    report["used_bytes"] = used_bytes(torch.device("cuda:0"))
    out.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in report.items() if key != "probabilities"}
    (out / f"native_streaming_{name}.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version(), "cuda": torch.version.cuda}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _pack(given: str) -> tuple[int, int | None]:
    pack, _, step = given.partition(":")
    return int(pack), int(step) if step else None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=["checks", *SHAPES])
    parser.add_argument("--precision", default="fp8")
    parser.add_argument("--card", type=float, nargs="+", default=[0.0], help="GiB of the card; 0 is all of it")
    parser.add_argument("--weights", type=float, default=0.0, help="GiB for weights, else what the card leaves")
    parser.add_argument("--host", type=float, help="GiB of host memory to count on")
    parser.add_argument("--packs", type=_pack, nargs="+", default=[], help="tokens, or tokens:tokens of a step")
    parser.add_argument("--step", type=int)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--warm-up", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--profile", type=int, default=0, help="documents to read under the profiler at the end")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
