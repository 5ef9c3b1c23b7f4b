"""Products by cuBLASLt's own interface: of the algorithms that it proposes for a shape, the fastest on this card.

Torch takes the first one proposed. A large product runs a card into its power limit, and there a larger tile, which
moves fewer bytes per product, is faster than the proposal (on an H200, torch 2.11, sustained: 34,816 x 5,120 by 16,384
rows in E4M3 1,341 against 1,286 TFLOP/s, in bfloat16 687 against 664). Proposals are tried once per shape of weight.

Everything here is of ``cublasLt.h`` (CUDA 12 and 13); torch has loaded the library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from ctypes import Structure, byref, c_char, c_float, c_int, c_int8, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass, field
from functools import cache
from statistics import median

import torch

#: Measured on this generation only; others keep torch's choice.
_CAPABILITY = (9, 0)
#: Products of fewer rows are too short for the choice to matter.
LEAST_ROWS = 4096
_WORKSPACE_BYTES = 64 << 20
_PROPOSALS = 16
_KEPT_PLANS = 64
_WARM_UP_S, _TRIAL_S, _ROUNDS = 0.3, 0.03, 4
#: What is less than this is noise: then the first proposal is kept.
_LEAST_GAIN = 0.015

_COMPUTE_32F, _REAL_32F = 68, 0
_TYPES = {torch.bfloat16: 14, torch.float8_e4m3fn: 28}
_TRANSA, _A_SCALE, _FAST_ACCUM = 3, 17, 25  # attributes of a product
_WORKSPACE_LIMIT = 1  # attribute of a preference
_TILE, _SPLIT, _SWIZZLE, _CUSTOM, _STAGES, _INNER, _CLUSTER = 1, 2, 4, 5, 6, 7, 8  # attributes of an algorithm


class _Algorithm(Structure):
    _fields_ = (("data", c_uint64 * 8),)


class _Proposal(Structure):
    _fields_ = (
        ("algorithm", _Algorithm),
        ("workspace_bytes", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    )


#: What tells an algorithm from the others, whatever the rows.
_Kind = tuple[bytes, ...]


@dataclass(slots=True)
class _Plan:
    """One product of known sizes: ``y`` [T, out] = ``x`` [T, in] @ ``weight`` [out, in].T."""

    product: c_void_p
    layouts: tuple[c_void_p, c_void_p, c_void_p]  # of weight, x and y, which are columns to the library
    proposals: dict[_Kind, _Algorithm]


@dataclass(slots=True)
class _Device:
    handle: c_void_p
    workspace: torch.Tensor
    plans: dict[tuple[int, int, int, torch.dtype], _Plan] = field(default_factory=dict)
    chosen: dict[tuple[int, int, torch.dtype], _Kind] = field(default_factory=dict)  # by shape of weight

    def plan(self, rows: int, out: int, width: int, dtype: torch.dtype) -> _Plan:
        """Made once for all layers of a step."""
        key = (rows, out, width, dtype)
        if key not in self.plans:
            if len(self.plans) == _KEPT_PLANS:
                _destroy(self.plans.pop(next(iter(self.plans))))
            self.plans[key] = _plan(self, rows, out, width, dtype)
        return self.plans[key]


def can_run(x: torch.Tensor) -> bool:
    """Whether :func:`multiply` takes ``x``."""
    suits = x.device.type == "cuda" and len(x) >= LEAST_ROWS and x.dtype in _TYPES and x.is_contiguous()
    return suits and _usable(x.device)


def multiply(x: torch.Tensor, weight: torch.Tensor, factor: torch.Tensor | None = None) -> torch.Tensor:
    """``x`` [T, in] @ ``weight`` [out, in].T, both contiguous, bfloat16 or E4M3, to bfloat16.

    ``factor``, float32 [1], is multiplied to E4M3 products. Raises ``RuntimeError`` where the library fails.
    """
    device = _device(x.device)
    rows, width, out = len(x), x.shape[1], len(weight)
    y = torch.empty(rows, out, dtype=torch.bfloat16, device=x.device)
    plan = device.plan(rows, out, width, x.dtype)
    if x.dtype == torch.float8_e4m3fn:
        pointer = c_void_p(factor.data_ptr() if factor is not None else None)
        _set(_library().cublasLtMatmulDescSetAttribute, plan.product, _A_SCALE, pointer)

    def run(algorithm: _Algorithm) -> None:
        _run(device, plan, algorithm, x, weight, y)

    shape = (out, width, x.dtype)
    if shape not in device.chosen:
        device.chosen[shape] = _fastest(plan.proposals, run, x.device)
    kind = device.chosen[shape]
    run(plan.proposals.get(kind) or next(iter(plan.proposals.values())))
    return y


@cache
def _usable(device: torch.device) -> bool:
    if torch.cuda.get_device_capability(device) != _CAPABILITY:
        return False
    try:
        _library()
    except OSError:
        return False
    return True


@cache
def _library() -> ctypes.CDLL:
    major = (torch.version.cuda or "").partition(".")[0]
    return ctypes.CDLL(f"libcublasLt.so.{major}")


@cache
def _device(device: torch.device) -> _Device:
    handle = c_void_p()
    _check(_library().cublasLtCreate(byref(handle)))
    return _Device(handle, torch.empty(_WORKSPACE_BYTES, dtype=torch.uint8, device=device))


def _plan(device: _Device, rows: int, out: int, width: int, dtype: torch.dtype) -> _Plan:
    library = _library()
    product = c_void_p()
    _check(library.cublasLtMatmulDescCreate(byref(product), _COMPUTE_32F, _REAL_32F))
    _set(library.cublasLtMatmulDescSetAttribute, product, _TRANSA, c_int(1))
    if dtype == torch.float8_e4m3fn:
        _set(library.cublasLtMatmulDescSetAttribute, product, _FAST_ACCUM, c_int8(1))
    kind = _TYPES[dtype]
    layouts = (
        _layout(kind, width, out),
        _layout(kind, width, rows),
        _layout(_TYPES[torch.bfloat16], out, rows),
    )
    return _Plan(product, layouts, _proposals(device, product, layouts))


def _destroy(plan: _Plan) -> None:
    library = _library()
    library.cublasLtMatmulDescDestroy(plan.product)
    for layout in plan.layouts:
        library.cublasLtMatrixLayoutDestroy(layout)


def _layout(kind: int, rows: int, columns: int) -> c_void_p:
    layout = c_void_p()
    _check(
        _library().cublasLtMatrixLayoutCreate(byref(layout), kind, c_uint64(rows), c_uint64(columns), c_uint64(rows))
    )
    return layout


def _proposals(
    device: _Device, product: c_void_p, layouts: tuple[c_void_p, c_void_p, c_void_p]
) -> dict[_Kind, _Algorithm]:
    library = _library()
    preference = c_void_p()
    _check(library.cublasLtMatmulPreferenceCreate(byref(preference)))
    _set(library.cublasLtMatmulPreferenceSetAttribute, preference, _WORKSPACE_LIMIT, c_uint64(device.workspace.nbytes))
    found, count = (_Proposal * _PROPOSALS)(), c_int()
    weight, x, y = layouts
    try:
        _check(
            library.cublasLtMatmulAlgoGetHeuristic(
                device.handle, product, weight, x, y, y, preference, _PROPOSALS, found, byref(count)
            )
        )
    finally:
        library.cublasLtMatmulPreferenceDestroy(preference)
    made: dict[_Kind, _Algorithm] = {}
    for proposal in found[: count.value]:
        if proposal.state == 0:
            made.setdefault(_kind(proposal.algorithm), proposal.algorithm)
    if not made:
        raise RuntimeError("cuBLASLt has no algorithm for this product")
    return made


def _kind(algorithm: _Algorithm) -> _Kind:
    return tuple(_attribute(algorithm, name) for name in (_TILE, _SPLIT, _SWIZZLE, _CUSTOM, _STAGES, _INNER, _CLUSTER))


def _attribute(algorithm: _Algorithm, name: int) -> bytes:
    value, written = (c_char * 8)(), c_size_t()
    size = 2 if name in {_INNER, _CLUSTER} else 4
    _library().cublasLtMatmulAlgoConfigGetAttribute(
        byref(algorithm), name, byref(value), c_size_t(size), byref(written)
    )
    return bytes(value)[:size]


def _fastest(proposals: dict[_Kind, _Algorithm], run: Callable[[_Algorithm], None], device: torch.device) -> _Kind:
    first, *_ = proposals
    _seconds(proposals[first], run, device, _WARM_UP_S)  # into the state that long work has
    spent: dict[_Kind, list[float]] = {}
    for _ in range(_ROUNDS):  # in turn, because that state drifts
        for kind, algorithm in proposals.items():
            with suppress(RuntimeError):  # proposed, and then refused
                spent.setdefault(kind, []).append(_seconds(algorithm, run, device, _TRIAL_S))
    if not spent:
        raise RuntimeError("cuBLASLt refuses every algorithm that it proposes for this product")
    best = min(spent, key=lambda kind: median(spent[kind]))
    kept = first in spent and median(spent[first]) < (1 + _LEAST_GAIN) * median(spent[best])
    return first if kept else best


def _seconds(algorithm: _Algorithm, run: Callable[[_Algorithm], None], device: torch.device, for_s: float) -> float:
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


def _run(
    device: _Device, plan: _Plan, algorithm: _Algorithm, x: torch.Tensor, weight: torch.Tensor, y: torch.Tensor
) -> None:
    one, nothing = c_float(1.0), c_float(0.0)
    of_weight, of_x, of_y = plan.layouts
    out = c_void_p(y.data_ptr())
    status = _library().cublasLtMatmul(
        device.handle,
        plan.product,
        byref(one),
        c_void_p(weight.data_ptr()),
        of_weight,
        c_void_p(x.data_ptr()),
        of_x,
        byref(nothing),
        out,
        of_y,
        out,
        of_y,
        byref(algorithm),
        c_void_p(device.workspace.data_ptr()),
        c_size_t(device.workspace.nbytes),
        c_void_p(torch.cuda.current_stream(x.device).cuda_stream),
    )
    _check(status)


def _set(setter: Callable[..., int], target: c_void_p, name: int, value: ctypes._SimpleCData) -> None:  # type: ignore[type-arg]
    _check(setter(target, name, byref(value), c_size_t(ctypes.sizeof(value))))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLASLt failed with status {status}")
