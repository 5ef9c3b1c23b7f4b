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
from thresher.engines.native.linear.cublaslt_binding import Algorithm, Kind, Plan, Session, Shape

#: Measured on this generation only; others keep torch's choice.
_CAPABILITY = (9, 0)
#: Smaller products are too short for the choice to matter, and too many to look each up.
LEAST_ROWS, LEAST_WEIGHT = 4096, 1 << 24
_KEPT_PLANS = 64
_WARM_UP_S, _TRIAL_S, _ROUNDS = 0.3, 0.03, 4
#: What is less than this is noise: then the first proposal is kept.
_LEAST_GAIN = 0.015


#: A shape of weight and what is done with its products: what an algorithm is chosen for.
_Use = tuple[int, int, torch.dtype, bool, bool]


@dataclass(slots=True)
class _Device:
    session: Session
    plans: dict[Shape, Plan] = field(default_factory=dict)
    chosen: dict[_Use, Kind] = field(default_factory=dict)

    def plan(self, shape: Shape) -> Plan:
        """Made once for all layers of a step."""
        if shape not in self.plans:
            if len(self.plans) == _KEPT_PLANS:
                binding.destroy(self.plans.pop(next(iter(self.plans))))
            self.plans[shape] = binding.make_plan(self.session, shape)
        return self.plans[shape]


def can_run(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether :func:`multiply` takes ``x`` and ``weight``, and it is worth it."""
    if x.device.type != "cuda" or len(x) < LEAST_ROWS or weight.numel() < LEAST_WEIGHT:
        return False
    return x.dtype in binding.TYPES and x.is_contiguous() and _usable(x.device)


def multiply(
    x: torch.Tensor,
    weight: torch.Tensor,
    *,
    factor: torch.Tensor | None = None,
    row_factors: tuple[torch.Tensor, torch.Tensor] | None = None,
    total: torch.Tensor | None = None,
) -> torch.Tensor:
    """``x`` [T, in] @ ``weight`` [out, in].T, both contiguous, bfloat16 or E4M3, to bfloat16.

    E4M3 products are multiplied by ``factor``, float32 [1], or by ``row_factors``: float32 [T, 1] of ``x`` and [1, out]
    of ``weight``. They are added to ``total``, bfloat16 [T, out] and contiguous, where that is given, and rounded once.
    Raises ``RuntimeError`` where the library fails.
    """
    device = _device(x.device)
    shape = Shape(len(x), len(weight), x.shape[1], x.dtype, row_factors is not None)
    plan = device.plan(shape)
    y = torch.empty(shape.rows, shape.out, dtype=torch.bfloat16, device=x.device) if total is None else total
    if x.dtype == torch.float8_e4m3fn:
        of_x, of_weight = row_factors or (None, factor)
        binding.scale(plan, of_weight, of_x)

    def run(algorithm: Algorithm, into: torch.Tensor) -> None:
        binding.run(device.session, plan, algorithm, x, weight, into, add=total is not None)

    use = (shape.out, shape.width, shape.dtype, shape.scaled_rows, total is not None)
    if use not in device.chosen:
        tried_into = torch.empty_like(y)
        device.chosen[use] = _fastest(plan.proposals, lambda algorithm: run(algorithm, tried_into), x.device)
    run(plan.proposals.get(device.chosen[use]) or next(iter(plan.proposals.values())), y)
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
