"""Products through the C interface of cuBLASLt (``cublasLt.h`` of CUDA 12 and 13), which torch has loaded.

``y`` [T, out] = ``x`` [T, in] @ ``weight`` [out, in].T. The library counts by columns: to it, the weight is transposed
and multiplied from the left.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import Structure, byref, c_char, c_float, c_int, c_int8, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache

import torch

_WORKSPACE_BYTES = 64 << 20
_PROPOSALS = 16
_COMPUTE_32F, _REAL_32F = 68, 0
#: What can be multiplied, and the library's name for it.
TYPES = {torch.bfloat16: 14, torch.float8_e4m3fn: 28}
_TRANSA, _A_SCALE, _B_SCALE, _FAST_ACCUM, _A_SCALE_MODE, _B_SCALE_MODE = 3, 17, 18, 25, 31, 32  # of a product
_ONE_PER_ROW = 3  # mode of scales, from CUDA 12.9 on
_WORKSPACE_LIMIT = 1  # attribute of a preference
_TILE, _SPLIT, _SWIZZLE, _CUSTOM, _STAGES, _INNER, _CLUSTER = 1, 2, 4, 5, 6, 7, 8  # attributes of an algorithm


class Algorithm(Structure):
    """Opaque: ``cublasLtMatmulAlgo_t``."""

    _fields_ = (("data", c_uint64 * 8),)


class Proposal(Structure):
    """``cublasLtMatmulHeuristicResult_t``."""

    _fields_ = (
        ("algorithm", Algorithm),
        ("workspace_bytes", c_size_t),
        ("state", c_int),
        ("waves", c_float),
        ("reserved", c_int * 4),
    )


#: What tells an algorithm from the others, whatever the rows.
Kind = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """[rows, width] times [out, width] of ``dtype``; ``scaled_rows``: the rows of both have a factor each."""

    rows: int
    out: int
    width: int
    dtype: torch.dtype
    scaled_rows: bool = False


@dataclass(slots=True)
class Plan:
    """A product of known sizes."""

    product: c_void_p
    layouts: tuple[c_void_p, c_void_p, c_void_p]  # of weight, x and y, which are columns to the library
    proposals: dict[Kind, Algorithm]


@dataclass(frozen=True, slots=True)
class Session:
    """What the library works with on one device."""

    handle: c_void_p
    workspace: torch.Tensor


@cache
def library() -> ctypes.CDLL:
    """Raises ``OSError`` where it cannot be loaded."""
    major = (torch.version.cuda or "").partition(".")[0]
    return ctypes.CDLL(f"libcublasLt.so.{major}")


def open_session(device: torch.device) -> Session:
    """Raises ``RuntimeError`` where the library fails, as all of the following do."""
    handle = c_void_p()
    _check(library().cublasLtCreate(byref(handle)))
    return Session(handle, torch.empty(_WORKSPACE_BYTES, dtype=torch.uint8, device=device))


def make_plan(session: Session, shape: Shape) -> Plan:
    """With the algorithms that the library proposes, its first choice first."""
    product = c_void_p()
    _check(library().cublasLtMatmulDescCreate(byref(product), _COMPUTE_32F, _REAL_32F))
    _describe(product, _TRANSA, c_int(1))
    if shape.dtype == torch.float8_e4m3fn:
        _describe(product, _FAST_ACCUM, c_int8(1))
    if shape.scaled_rows:
        for mode, factors in ((_A_SCALE_MODE, _A_SCALE), (_B_SCALE_MODE, _B_SCALE)):
            _describe(product, mode, c_int(_ONE_PER_ROW))
            _describe(product, factors, c_void_p(session.workspace.data_ptr()))  # to be named before it proposes
    kind, rows, out, width = TYPES[shape.dtype], shape.rows, shape.out, shape.width
    layouts = (_layout(kind, width, out), _layout(kind, width, rows), _layout(TYPES[torch.bfloat16], out, rows))
    return Plan(product, layouts, _proposals(session, product, layouts))


def destroy(plan: Plan) -> None:
    """Free what the library keeps of it."""
    library().cublasLtMatmulDescDestroy(plan.product)
    for layout in plan.layouts:
        library().cublasLtMatrixLayoutDestroy(layout)


def scale(plan: Plan, weight: torch.Tensor | None, x: torch.Tensor | None) -> None:
    """Multiply E4M3 products by factors of the weight and of ``x`` from now on.

    float32 on the device, one each or, with ``scaled_rows``, one for each of their rows.
    """
    for name, factors in ((_A_SCALE, weight), (_B_SCALE, x)):
        _describe(plan.product, name, c_void_p(None if factors is None else factors.data_ptr()))


def _layout(kind: int, rows: int, columns: int) -> c_void_p:
    layout = c_void_p()
    _check(library().cublasLtMatrixLayoutCreate(byref(layout), kind, c_uint64(rows), c_uint64(columns), c_uint64(rows)))
    return layout


def _proposals(
    session: Session, product: c_void_p, layouts: tuple[c_void_p, c_void_p, c_void_p]
) -> dict[Kind, Algorithm]:
    preference = c_void_p()
    _check(library().cublasLtMatmulPreferenceCreate(byref(preference)))
    limit = c_uint64(session.workspace.nbytes)
    _set(library().cublasLtMatmulPreferenceSetAttribute, preference, _WORKSPACE_LIMIT, limit)
    found, count = (Proposal * _PROPOSALS)(), c_int()
    weight, x, y = layouts
    try:
        _check(
            library().cublasLtMatmulAlgoGetHeuristic(
                session.handle, product, weight, x, y, y, preference, _PROPOSALS, found, byref(count)
            )
        )
    finally:
        library().cublasLtMatmulPreferenceDestroy(preference)
    made: dict[Kind, Algorithm] = {}
    for proposal in found[: count.value]:
        if proposal.state == 0:
            made.setdefault(_kind(proposal.algorithm), proposal.algorithm)
    if not made:
        raise RuntimeError("cuBLASLt has no algorithm for this product")
    return made


def _kind(algorithm: Algorithm) -> Kind:
    return tuple(_attribute(algorithm, name) for name in (_TILE, _SPLIT, _SWIZZLE, _CUSTOM, _STAGES, _INNER, _CLUSTER))


def _attribute(algorithm: Algorithm, name: int) -> bytes:
    value, written = (c_char * 8)(), c_size_t()
    size = 2 if name in {_INNER, _CLUSTER} else 4
    library().cublasLtMatmulAlgoConfigGetAttribute(byref(algorithm), name, byref(value), c_size_t(size), byref(written))
    return bytes(value)[:size]


def run(
    session: Session,
    plan: Plan,
    algorithm: Algorithm,
    x: torch.Tensor,
    weight: torch.Tensor,
    y: torch.Tensor,
    *,
    add: bool = False,
) -> None:
    """Fill ``y``, or add to it, on the current stream."""
    one, kept = c_float(1.0), c_float(1.0 if add else 0.0)
    of_weight, of_x, of_y = plan.layouts
    out = c_void_p(y.data_ptr())
    status = library().cublasLtMatmul(
        session.handle,
        plan.product,
        byref(one),
        c_void_p(weight.data_ptr()),
        of_weight,
        c_void_p(x.data_ptr()),
        of_x,
        byref(kept),
        out,
        of_y,
        out,
        of_y,
        byref(algorithm),
        c_void_p(session.workspace.data_ptr()),
        c_size_t(session.workspace.nbytes),
        c_void_p(torch.cuda.current_stream(x.device).cuda_stream),
    )
    _check(status)


def _describe(product: c_void_p, name: int, value: ctypes._SimpleCData) -> None:  # type: ignore[type-arg]
    _set(library().cublasLtMatmulDescSetAttribute, product, name, value)


def _set(setter: Callable[..., int], target: c_void_p, name: int, value: ctypes._SimpleCData) -> None:  # type: ignore[type-arg]
    _check(setter(target, name, byref(value), c_size_t(ctypes.sizeof(value))))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLASLt failed with status {status}")
