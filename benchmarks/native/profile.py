"""Where the time of a pass goes, by kernel, from torch's profiler."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

#: Component -> names of its kernels; the first that matches counts.
_COMPONENTS: tuple[tuple[str, str], ...] = (
    ("DeltaNet rule", r"chunk_|gated_delta|solve_tril|recompute_w_u|cumsum|kkt|delta_?rule|flat::"),
    ("attention", r"flash|fmha|attention|_merge"),
    ("convolution", r"^conv_(sliding|tiles|edges)|causal_conv"),
    ("norms, gates and rounding", r"^_(norm|swiglu|gated_norm|sigmoid_gate|norm_rotate|quantize|delta_gates)"),
    ("experts' multiplies", r"^_multiply"),
    ("4 bits to 8 or 16", r"^_expand"),
    ("routing", r"topk|sort|softmax|scan|gather|scatter|index|^_combine"),
    ("matrix multiplies", r"gemm|nvjet|cutlass|xmma|sm90_|splitKreduce|cublas"),
    ("copies", r"memcpy|memset|copy"),
)
_OTHER = "other element-wise"
_MATMULS = re.compile(r"^aten::(_scaled_mm|mm|addmm|bmm|_int_mm|_grouped_mm)$")


def profile_pass(run: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of one run by component and by shape of multiply; what is left of the run is gaps between kernels."""
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    activities = [ProfilerActivity.CUDA, ProfilerActivity.CPU]
    with profile(activities=activities, record_shapes=True) as traced:
        start.record()
        run()
        stop.record()
        torch.cuda.synchronize()
    seconds = start.elapsed_time(stop) / 1e3
    kernels: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for event in traced.events():
        if event.device_type.name == "CUDA" and not event.name.startswith("aten::"):
            kernels[event.name][0] += event.device_time / 1e6
            kernels[event.name][1] += 1
    components: dict[str, float] = defaultdict(float)
    for name, (spent, _) in kernels.items():
        components[component_of(name)] += spent
    largest = sorted(kernels.items(), key=lambda item: -item[1][0])[:30]
    return {
        "seconds": seconds,
        "components": {**components, "gaps": seconds - sum(components.values())},
        "kernels": [{"name": name[:120], "seconds": spent, "calls": calls} for name, (spent, calls) in largest],
        "matmuls": _matmuls(traced),
    }


def component_of(kernel: str) -> str:
    """The component that a kernel of this name belongs to."""
    for component, pattern in _COMPONENTS:
        if re.search(pattern, kernel, re.IGNORECASE):
            return component
    return _OTHER


def _matmuls(traced: Any) -> list[dict[str, Any]]:
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for event in traced.key_averages(group_by_input_shape=True):
        if _MATMULS.match(event.key) and event.self_device_time_total:
            shape = " x ".join(str(tuple(size)) for size in event.input_shapes[:2])
            found[shape][0] += event.self_device_time_total / 1e6
            found[shape][1] += event.count
    longest = sorted(found.items(), key=lambda item: -item[1][0])[:24]
    return [{"shape": shape, "seconds": spent, "calls": calls} for shape, (spent, calls) in longest]
