"""How fast a setting can be: operations and bytes over rates, times the share of that ceiling which was reached."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from thresher.hardware import GpuFacts, HardwareFacts, named_gpu
from thresher.models.shape import ModelShape
from thresher.planning.costs import core_flops_per_token, matmul_flops_per_token, traffic_bytes_per_token
from thresher.planning.fit import Fit
from thresher.planning.setting import least_gpu

#: Of a card and precision that were measured, with a model of the kind that was: the spread of the runs.
_MEASURED_SPREAD = 0.1
_MEASURED_FLOPS = 48.0e9  # a token of Qwen3.5-27B
#: What an engine's precision is multiplied in. llama.cpp multiplies quantized weights in int8 (its MMQ kernels).
_MULTIPLIED_IN: Mapping[str, str] = {"nvfp4-bf16": "bf16", "nvfp4-fp8": "fp8", "int4": "bf16"}
_LLAMACPP_PLAIN = frozenset({"F32", "F16", "BF16"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Prompt tokens per second of one setting, from low to high, and how it is known."""

    engine: str
    precision: str
    streamed_layers: int
    tokens_per_second: float
    low: float
    high: float
    ceiling_tokens_per_second: float
    basis: str  # "measured" on such a card, or "projection"
    source: str
    seconds: float | None  # for the documents asked about
    seconds_low: float | None
    seconds_high: float | None


@dataclass(frozen=True, slots=True)
class _Share:
    expected: float
    low: float
    high: float
    measured: bool
    source: str


def estimate_speed(
    shape: ModelShape, fit: Fit, hardware: HardwareFacts, attended_tokens: float, tokens: int | None
) -> Speed | None:
    """The speed of ``fit`` on documents of a length; None where a rate that it needs is not known: a processor's, or a
    disk's that weights are streamed from.

    ``ceiling = 1 / (matmul FLOP / rate + core FLOP / bf16 rate + traffic / bandwidth)`` for each GPU, as in
    benchmarks/native/ceilings.py. A rate that the project measured is taken as it is; of a data sheet's the part that
    an H100 reaches of its own. Several GPUs share the work evenly. Streamed weights bound it:
    ``pack tokens / (streamed bytes / bandwidth from host memory)`` (MODEL.md, "Weight streaming").
    """
    if not fit.setting.gpus or (fit.streamed_layers and fit.host_bytes > hardware.free_memory_bytes):
        return None
    gpu = least_gpu(hardware)
    engine, precision = fit.setting.engine, fit.setting.precision
    share = _share(engine, precision, gpu, shape)
    ceiling = _ceiling(shape, gpu, _multiplied_in(engine, precision), attended_tokens)
    if share is None or ceiling is None:
        return None
    ceiling *= fit.setting.gpus
    bound = _streaming_bound(fit, gpu)
    expected, low, high = (min(ceiling * part, bound) for part in (share.expected, share.low, share.high))

    def seconds(rate: float) -> float | None:
        return None if tokens is None else tokens / rate

    return Speed(
        engine=engine,
        precision=precision,
        streamed_layers=fit.streamed_layers,
        tokens_per_second=expected,
        low=low,
        high=high,
        ceiling_tokens_per_second=ceiling,
        basis="measured" if share.measured and fit.setting.gpus == 1 and not fit.streamed_layers else "projection",
        source=share.source,
        seconds=seconds(expected),
        seconds_low=seconds(high),
        seconds_high=seconds(low),
    )


def _ceiling(shape: ModelShape, gpu: GpuFacts, multiplied_in: str, attended_tokens: float) -> float | None:
    rate, core_rate = _rate(gpu, multiplied_in), _rate(gpu, "bf16")
    if rate is None or core_rate is None or gpu.bandwidth is None:
        return None
    matmul_s = matmul_flops_per_token(shape) / rate
    core_s = core_flops_per_token(shape, attended_tokens) / core_rate
    return 1 / (matmul_s + core_s + traffic_bytes_per_token(shape, 2) / gpu.bandwidth)


def _rate(gpu: GpuFacts, precision: str) -> float | None:
    if precision in gpu.measured_rates:
        return gpu.measured_rates[precision]
    sheet = gpu.rates.get(precision)
    return None if sheet is None else sheet * float(_shares()["data_sheet_share"]["expected"])


def _multiplied_in(engine: str, precision: str) -> str:
    if engine in {"llamacpp", "llama-server"}:
        return "bf16" if precision.upper() in _LLAMACPP_PLAIN else "int8"
    return _MULTIPLIED_IN.get(precision, precision)


def _share(engine: str, precision: str, gpu: GpuFacts, shape: ModelShape) -> _Share | None:
    """The share and its range; where a rate comes from a data sheet, its own uncertainty widens the range."""
    table = _shares()
    key = {"llamacpp": "llama.cpp", "llama-server": "llama.cpp", "native": "native"}.get(engine, "servers")
    entry = table[key] if key == "llama.cpp" else table[key].get(precision)
    if entry is None:
        return None
    expected, low, high = entry["expected"], entry["low"], entry["high"]
    measured_rate = _multiplied_in(engine, precision) in gpu.measured_rates
    measured = measured_rate and _is_card(gpu, entry.get("measured")) and _is_like_measured(shape)
    if measured:
        low, high = expected * (1 - _MEASURED_SPREAD), expected * (1 + _MEASURED_SPREAD)
    elif not measured_rate:
        sheet = table["data_sheet_share"]
        low, high = low * sheet["low"] / sheet["expected"], high * sheet["high"] / sheet["expected"]
    if shape.moe is not None:
        low, high = low * table["mixture"]["low"], high * table["mixture"]["high"]
        expected *= (table["mixture"]["low"] + table["mixture"]["high"]) / 2
    return _Share(expected, low, high, measured, entry["source"])


def _is_like_measured(shape: ModelShape) -> bool:
    """Whether a model is of the kind and size that was measured, the 27B: small ones reach nothing like its share."""
    near = 0.5 < matmul_flops_per_token(shape) / _MEASURED_FLOPS < 2
    return near and shape.moe is None and shape.delta is not None


def _is_card(gpu: GpuFacts, key: str | None) -> bool:
    return key is not None and gpu.measured_rates == named_gpu(key).measured_rates


def _streaming_bound(fit: Fit, gpu: GpuFacts) -> float:
    if not fit.streamed_bytes or fit.pack_tokens is None or gpu.host_bandwidth is None:
        return float("inf")
    return fit.pack_tokens / (fit.streamed_bytes / max(1, fit.setting.gpus) / gpu.host_bandwidth)


@functools.cache
def _shares() -> Mapping[str, Any]:
    text = (resources.files("thresher.planning") / "shares.json").read_text("utf-8")
    shares: Mapping[str, Any] = json.loads(text)
    return shares
