"""What the machine can do at most: matrix multiplies of the model's own shapes, and copies, measured alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, cast

import torch

from thresher.engines.native.config import NativeConfig
from thresher.engines.native.kernels.grouped import Groups
from thresher.engines.native.layer_format import LayerFormat, activation_dtype
from thresher.engines.native.layers.experts import Experts
from thresher.engines.native.linear import make_linear
from thresher.engines.native.linear.storage import StoredLinear

_REPEATS = 10
_WARM_UP_S = 2.0
_COPY_BYTES = {"cuda": 4 << 30, "cpu": 64 << 20}


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """Rates measured on this machine, and the least time per token that follows from them."""

    copy_bytes_per_second: float  # bytes read and bytes written both counted
    matmul_flops_per_second: float  # of the model's own multiplies together, each in a short burst
    sustained_matmul_flops_per_second: float  # of the same one after the other for seconds, as in a long run
    core_flops_per_second: float  # bf16 (fp32 on a CPU): the rate that attention and the delta rule are held against
    matmul_seconds_per_token: float
    core_seconds_per_token: float
    traffic_seconds_per_token: float
    tokens_per_second: float
    sustained_tokens_per_second: float  # with the multiplies at their sustained rate
    matmuls: tuple[dict[str, Any], ...]  # per shape

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(config: NativeConfig, precision: str, device: torch.device, rows: int, mean_tokens: float) -> Ceilings:
    """Rates at ``rows`` rows per multiply; attention as of documents of ``mean_tokens`` tokens, prefix counted.

    Large multiplies run a card into its power limit within a second, so their rate in bursts and their sustained rate
    are two ceilings. The least traffic is the residual stream, read and written once by each layer: nothing else has
    to leave the chip. The last layer's multiplies are left out where only answers' rows need them.
    """
    shapes = matmul_shapes(config, precision)
    timed = [_time_shape(shape, count, device, rows) for shape, count in sorted(shapes.items(), key=str)]
    sustained_s = _sustained_seconds(shapes, device, rows) / rows
    copy_rate = measure_copy(device)
    flops = sum(row["flops_per_token"] for row in timed)
    matmul_s = sum(row["seconds_per_token"] for row in timed)
    core_rate = _core_rate(precision, device, rows)
    core_s = core_flops(config, mean_tokens) / core_rate
    traffic_s = config.layer_count * 2 * config.hidden_size * activation_dtype(precision).itemsize / copy_rate
    return Ceilings(
        copy_bytes_per_second=copy_rate,
        matmul_flops_per_second=flops / matmul_s,
        sustained_matmul_flops_per_second=flops / sustained_s,
        core_flops_per_second=core_rate,
        matmul_seconds_per_token=matmul_s,
        core_seconds_per_token=core_s,
        traffic_seconds_per_token=traffic_s,
        tokens_per_second=1 / (matmul_s + core_s + traffic_s),
        sustained_tokens_per_second=1 / (sustained_s + core_s + traffic_s),
        matmuls=tuple(timed),
    )


#: Out, in, precision; of how many experts there is one, and how many of these a token goes to (both 1: no experts).
Shape = tuple[int, int, str, int, int]


def matmul_shapes(config: NativeConfig, precision: str) -> Counter[Shape]:
    """How many of the model's layers have it."""
    shapes: Counter[Shape] = Counter()
    for layer in range(config.layer_count):
        last = layer == config.layer_count - 1
        form = LayerFormat(config, layer, precision)
        for name, linear in form.linears.items():
            if last and not name.endswith((".k_proj", ".v_proj", ".in_proj_qkv", ".in_proj_ab")):
                continue
            shapes[linear.out_features, linear.in_features, linear.precision, 1, 1] += 1
        if config.moe is None or last:
            continue
        for experts in form.experts.values():
            one = experts.one
            shapes[one.out_features, one.in_features, one.precision, experts.count, config.moe.experts_per_token] += 1
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


def _sustained_seconds(shapes: Counter[Shape], device: torch.device, rows: int) -> float:
    """Of all multiplies of ``rows`` tokens, once the card has been at them for :data:`_WARM_UP_S`."""
    runs = [run for shape, count in sorted(shapes.items(), key=str) for run in [_multiply(shape, device, rows)] * count]

    def read() -> None:
        for run in runs:
            run()

    seconds = median_seconds(read, device, repeats=1)
    if device.type != "cuda":
        return seconds
    median_seconds(read, device, repeats=max(1, round(_WARM_UP_S / seconds)))
    return median_seconds(read, device, repeats=max(3, round(_WARM_UP_S / seconds)))


def _multiply(shape: Shape, device: torch.device, rows: int) -> Callable[[], Any]:
    """A multiply of that shape by ``rows`` tokens."""
    out_features, in_features, precision, experts, picked = shape
    tokens = torch.randn(rows * picked, in_features, dtype=activation_dtype(precision), device=device)
    if experts > 1:
        return _multiply_experts(shape, tokens, device)
    # weights like a model's: their bits decide how much power a multiply takes
    weight = torch.randn(out_features, in_features, dtype=torch.bfloat16, device=device)
    linear = make_linear(weight, precision, device).prepared()
    x = linear.quantize_activation(tokens)
    return lambda: linear(x)


def _time_shape(shape: Shape, count: int, device: torch.device, rows: int) -> dict[str, Any]:
    out_features, in_features, precision, experts, picked = shape
    seconds = median_seconds(_multiply(shape, device, rows), device)
    flops = 2 * out_features * in_features
    return {
        "out": out_features,
        "in": in_features,
        "precision": precision,
        "count": count,
        "experts": experts,
        "rows": rows * picked,
        "flops_per_token": flops * count * picked,
        "seconds_per_token": seconds / rows * count,
        "flops_per_second": flops * rows * picked / seconds,
    }


def _multiply_experts(shape: Shape, rows: torch.Tensor, device: torch.device) -> Callable[[], Any]:
    """One grouped product; ``rows`` [M, in] go to experts by chance."""
    out_features, in_features, precision, experts, _ = shape
    empty = Experts.empty(experts, out_features, in_features, precision)
    stored = cast(StoredLinear, empty.one).random(experts * out_features, in_features, device)
    tensors = {
        name: stored[name].view(tensor.shape)
        if stored[name].numel() == tensor.numel()
        else stored[name].expand(tensor.shape)
        for name, tensor in empty.tensors().items()
    }
    prepared = empty.with_tensors(tensors).prepared()
    counts = torch.bincount(torch.randint(0, experts, (len(rows),), device=device), minlength=experts)
    groups = Groups(counts.cumsum(0).int(), len(rows))
    x = prepared.one.quantize_activation(rows)
    return lambda: prepared(x, groups)


def _core_rate(precision: str, device: torch.device, rows: int) -> float:
    size = min(rows, 8192)
    dtype = activation_dtype(precision)
    a, b = (torch.randn(size, size, dtype=dtype, device=device) for _ in range(2))
    return 2 * size**3 / median_seconds(lambda: a @ b, device)
