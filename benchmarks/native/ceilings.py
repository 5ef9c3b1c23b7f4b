"""What the machine can do at most: matrix multiplies of the model's own shapes, and copies, measured alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.layer_format import LayerFormat, activation_dtype
from thresher.engines.native.linear import empty_linear

_REPEATS = 10
_COPY_BYTES = {"cuda": 4 << 30, "cpu": 64 << 20}


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """Rates measured on this machine, and the least time per token that follows from them."""

    copy_bytes_per_second: float  # bytes read and bytes written both counted
    matmul_flops_per_second: float  # of the model's own multiplies together
    core_flops_per_second: float  # bf16 (fp32 on a CPU): the rate that attention and the delta rule are held against
    matmul_seconds_per_token: float
    core_seconds_per_token: float
    traffic_seconds_per_token: float
    tokens_per_second: float
    matmuls: tuple[dict[str, Any], ...]  # per shape

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(config: NativeConfig, precision: str, device: torch.device, rows: int, mean_tokens: float) -> Ceilings:
    """Rates at ``rows`` rows per multiply; attention as of documents of ``mean_tokens`` tokens, prefix counted.

    The least traffic is the residual stream, read and written once by each layer: nothing else has to leave the chip.
    The last layer's multiplies are left out where only answers' rows need them.
    """
    shapes = matmul_shapes(config, precision)
    timed = [_time_shape(shape, count, device, rows) for shape, count in sorted(shapes.items(), key=str)]
    copy_rate = measure_copy(device)
    flops = sum(row["flops_per_token"] for row in timed)
    matmul_s = sum(row["seconds_per_token"] for row in timed)
    core_rate = _core_rate(precision, device, rows)
    core_s = core_flops(config, mean_tokens) / core_rate
    traffic_s = config.layer_count * 2 * config.hidden_size * activation_dtype(precision).itemsize / copy_rate
    return Ceilings(
        copy_bytes_per_second=copy_rate,
        matmul_flops_per_second=flops / matmul_s,
        core_flops_per_second=core_rate,
        matmul_seconds_per_token=matmul_s,
        core_seconds_per_token=core_s,
        traffic_seconds_per_token=traffic_s,
        tokens_per_second=1 / (matmul_s + core_s + traffic_s),
        matmuls=tuple(timed),
    )


def matmul_shapes(config: NativeConfig, precision: str) -> Counter[tuple[int, int, str, float]]:
    """(out, in, precision, share of the tokens that go through it) -> how many of the model's multiplies."""
    shapes: Counter[tuple[int, int, str, float]] = Counter()
    for layer in range(config.layer_count):
        last = layer == config.layer_count - 1
        for name, linear in LayerFormat(config, layer, precision).linears.items():
            if last and not name.endswith((".k_proj", ".v_proj", ".in_proj_qkv", ".in_proj_a", ".in_proj_b")):
                continue
            routed = ".experts." in name and config.moe is not None
            share = config.moe.experts_per_token / config.moe.experts if routed and config.moe else 1.0
            shapes[linear.out_features, linear.in_features, linear.precision, share] += 1
    return shapes


def core_flops(config: NativeConfig, mean_tokens: float) -> float:
    """Per token: attention over half of the tokens on average, and the delta rule in its recurrent form (4 K V)."""
    full = config.layer_kinds.count("full")
    attention = full * 4 * config.query_heads * config.head_dim * mean_tokens / 2
    delta = config.delta
    if delta is None:
        return attention
    return attention + (config.layer_count - full) * 6 * delta.value_heads * delta.key_dim * delta.value_dim


def measure_copy(device: torch.device) -> float:
    """Bytes per second of a large copy within the device."""
    source = torch.empty(_COPY_BYTES[device.type], dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    return 2 * source.nbytes / median_seconds(lambda: target.copy_(source), device)


def median_seconds(run: Callable[[], Any], device: torch.device, repeats: int = _REPEATS) -> float:
    """Of ``repeats`` runs after two to warm up; by events on CUDA."""
    for _ in range(2):
        run()
    if device.type != "cuda":
        return sorted(_host_seconds(run) for _ in range(repeats))[repeats // 2]
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]  # type: ignore[no-untyped-call]
    marks[0].record()
    for mark in marks[1:]:
        run()
        mark.record()
    torch.cuda.synchronize(device)
    return float(sorted(a.elapsed_time(b) for a, b in pairwise(marks))[repeats // 2]) / 1e3


def _host_seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _time_shape(shape: tuple[int, int, str, float], count: int, device: torch.device, rows: int) -> dict[str, Any]:
    out_features, in_features, precision, share = shape
    linear = empty_linear(out_features, in_features, precision, device)
    used = max(16, round(rows * share))
    x = linear.quantize_activation(torch.randn(used, in_features, dtype=activation_dtype(precision), device=device))
    seconds = median_seconds(lambda: linear(x), device)
    flops = 2 * out_features * in_features
    return {
        "out": out_features,
        "in": in_features,
        "precision": precision,
        "count": count,
        "rows": used,
        "flops_per_token": flops * count * share,
        "seconds_per_token": seconds / used * count * share,
        "flops_per_second": flops * used / seconds,
    }


def _core_rate(precision: str, device: torch.device, rows: int) -> float:
    size = min(rows, 8192)
    dtype = activation_dtype(precision)
    a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 / median_seconds(lambda: a @ b, device)
