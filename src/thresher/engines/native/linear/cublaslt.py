"""Products by the fastest of the algorithms that cuBLASLt proposes for a shape, found by trying.

Torch takes the first one proposed. A large product runs a card into its power limit, and there a larger tile, which
moves fewer bytes per product, is faster than the proposal (on an H200, torch 2.11, sustained: 34,816 x 5,120 by 16,384
rows in E4M3 1,353 against 1,278 TFLOP/s by torch). Proposals are tried once per shape of weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from statistics import median

import torch

from thresher.engines.native.linear import cublaslt_binding as binding
from thresher.engines.native.linear.cublaslt_binding import Algorithm, Kind, Plan, Session

#: Measured on this generation only; others keep torch's choice.
_CAPABILITY = (9, 0)
#: Smaller products are too short for the choice to matter, and too many to look each up.
LEAST_ROWS, LEAST_WEIGHT = 4096, 1 << 24
_KEPT_PLANS = 64
_WARM_UP_S, _TRIAL_S, _ROUNDS = 0.3, 0.03, 4
#: What is less than this is noise: then the first proposal is kept.
_LEAST_GAIN = 0.015


@dataclass(slots=True)
class _Device:
    session: Session
    plans: dict[tuple[int, int, int, torch.dtype], Plan] = field(default_factory=dict)
    chosen: dict[tuple[int, int, torch.dtype], Kind] = field(default_factory=dict)  # by shape of weight

    def plan(self, rows: int, out: int, width: int, dtype: torch.dtype) -> Plan:
        """Made once for all layers of a step."""
        key = (rows, out, width, dtype)
        if key not in self.plans:
            if len(self.plans) == _KEPT_PLANS:
                binding.destroy(self.plans.pop(next(iter(self.plans))))
            self.plans[key] = binding.make_plan(self.session, rows, out, width, dtype)
        return self.plans[key]


def can_run(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether :func:`multiply` takes ``x`` and ``weight``, and it is worth it."""
    if x.device.type != "cuda" or len(x) < LEAST_ROWS or weight.numel() < LEAST_WEIGHT:
        return False
    return x.dtype in binding.TYPES and x.is_contiguous() and _usable(x.device)


def multiply(x: torch.Tensor, weight: torch.Tensor, factor: torch.Tensor | None = None) -> torch.Tensor:
    """``x`` [T, in] @ ``weight`` [out, in].T, both contiguous, bfloat16 or E4M3, to bfloat16.

    ``factor``, float32 [1], is multiplied to E4M3 products. Raises ``RuntimeError`` where the library fails.
    """
    device = _device(x.device)
    rows, width, out = len(x), x.shape[1], len(weight)
    y = torch.empty(rows, out, dtype=torch.bfloat16, device=x.device)
    plan = device.plan(rows, out, width, x.dtype)
    if x.dtype == torch.float8_e4m3fn:
        binding.scale(plan, factor)

    def run(algorithm: Algorithm) -> None:
        binding.run(device.session, plan, algorithm, x, weight, y)

    shape = (out, width, x.dtype)
    if shape not in device.chosen:
        device.chosen[shape] = _fastest(plan.proposals, run, x.device)
    run(plan.proposals.get(device.chosen[shape]) or next(iter(plan.proposals.values())))
    return y


@cache
def _usable(device: torch.device) -> bool:
    if torch.cuda.get_device_capability(device) != _CAPABILITY:
        return False
    try:
        binding.library()
    except OSError:
        return False
    return True


@cache
def _device(device: torch.device) -> _Device:
    return _Device(binding.open_session(device))


def _fastest(proposals: dict[Kind, Algorithm], run: Callable[[Algorithm], None], device: torch.device) -> Kind:
    first, *_ = proposals
    spent: dict[Kind, list[float]] = {kind: [] for kind in proposals}
    with suppress(RuntimeError):  # proposed, and then refused; also below
        _seconds(proposals[first], run, device, _WARM_UP_S)  # into the state that long work has
    for _ in range(_ROUNDS):  # in turn, because that state drifts
        for kind, algorithm in proposals.items():
            with suppress(RuntimeError):
                spent[kind].append(_seconds(algorithm, run, device, _TRIAL_S))
    times = {kind: median(found) for kind, found in spent.items() if found}
    if not times:
        raise RuntimeError("cuBLASLt refuses every algorithm that it proposes for this product")
    best = min(times, key=lambda kind: times[kind])
    return first if times.get(first, math.inf) < (1 + _LEAST_GAIN) * times[best] else best


def _seconds(algorithm: Algorithm, run: Callable[[Algorithm], None], device: torch.device, for_s: float) -> float:
    """Of one product, from as many as take ``for_s``."""
    start, middle, stop = (torch.cuda.Event(enable_timing=True) for _ in range(3))  # type: ignore[no-untyped-call]
    stream = torch.cuda.current_stream(device)
    run(algorithm)
    start.record(stream)
    run(algorithm)
    middle.record(stream)
    middle.synchronize()
    count = max(3, int(for_s * 1e3 / max(start.elapsed_time(middle), 1e-3)))
    middle.record(stream)
    for _ in range(count):
        run(algorithm)
    stop.record(stream)
    stop.synchronize()
    return float(middle.elapsed_time(stop)) / 1e3 / count
