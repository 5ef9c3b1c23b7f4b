"""One product through the C interface of cuBLASLt (``cublasLt.h`` of CUDA 12.9 and 13), which torch has loaded.

``total`` [T, out] += ``x`` [T, in] @ ``weight`` [out, in].T, of E4M3 with a factor for each row of both, to bfloat16.
The library counts by columns: to it, the weight is transposed and multiplied from the left.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_float, c_int, c_int8, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache

import torch

_WORKSPACE_BYTES = 64 << 20
_COMPUTE_32F, _REAL_32F, _REAL_16BF, _REAL_E4M3 = 68, 0, 14, 28
_TRANSA, _A_SCALE, _B_SCALE, _FAST_ACCUM, _A_SCALE_MODE, _B_SCALE_MODE = 3, 17, 18, 25, 31, 32  # of a product
_ONE_PER_ROW = 3  # mode of factors, from CUDA 12.9 on
_WORKSPACE_LIMIT = 1  # attribute of a preference


class Algorithm(Structure):
    """Opaque: ``cublasLtMatmulAlgo_t``."""

    _fields_ = (("data", c_uint64 * 8),)


class Proposal(Structure):
    """``cublasLtMatmulHeuristicResult_t``."""

    _fields_ = (
        ("algorithm", Algorithm),
        ("workspace_bytes", c_size_t),
        ("state", c_int),
        ("waves", ctypes.c_float),
        ("reserved", c_int * 4),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """A product of known sizes, by the algorithm that the library proposes."""

    product: c_void_p
    layouts: tuple[c_void_p, c_void_p, c_void_p]  # of weight, x and total, which are columns to the library
    algorithm: Algorithm


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


def make_plan(session: Session, rows: int, out: int, width: int) -> Plan:
    """For ``x`` [rows, width] and a weight [out, width]."""
    product = c_void_p()
    _check(library().cublasLtMatmulDescCreate(byref(product), _COMPUTE_32F, _REAL_32F))
    _describe(product, _TRANSA, c_int(1))
    _describe(product, _FAST_ACCUM, c_int8(1))
    for mode, factors in ((_A_SCALE_MODE, _A_SCALE), (_B_SCALE_MODE, _B_SCALE)):
        _describe(product, mode, c_int(_ONE_PER_ROW))
        _describe(product, factors, c_void_p(session.workspace.data_ptr()))  # any, for it to propose something
    layouts = (_layout(_REAL_E4M3, width, out), _layout(_REAL_E4M3, width, rows), _layout(_REAL_16BF, out, rows))
    return Plan(product, layouts, _proposal(session, product, layouts))


def destroy(plan: Plan) -> None:
    """Free what the library keeps of it."""
    library().cublasLtMatmulDescDestroy(plan.product)
    for layout in plan.layouts:
        library().cublasLtMatrixLayoutDestroy(layout)


def run(
    session: Session,
    plan: Plan,
    x: torch.Tensor,
    x_factors: torch.Tensor,
    weight: torch.Tensor,
    weight_factors: torch.Tensor,
    total: torch.Tensor,
) -> None:
    """Add to ``total``, on the current stream. Factors are float32, as many as rows."""
    _describe(plan.product, _A_SCALE, c_void_p(weight_factors.data_ptr()))
    _describe(plan.product, _B_SCALE, c_void_p(x_factors.data_ptr()))
    one = c_float(1.0)
    of_weight, of_x, of_total = plan.layouts
    into = c_void_p(total.data_ptr())
    status = library().cublasLtMatmul(
        session.handle,
        plan.product,
        byref(one),
        c_void_p(weight.data_ptr()),
        of_weight,
        c_void_p(x.data_ptr()),
        of_x,
        byref(one),
        into,
        of_total,
        into,
        of_total,
        byref(plan.algorithm),
        c_void_p(session.workspace.data_ptr()),
        c_size_t(session.workspace.nbytes),
        c_void_p(torch.cuda.current_stream(x.device).cuda_stream),
    )
    _check(status)


def _layout(kind: int, rows: int, columns: int) -> c_void_p:
    layout = c_void_p()
    _check(library().cublasLtMatrixLayoutCreate(byref(layout), kind, c_uint64(rows), c_uint64(columns), c_uint64(rows)))
    return layout


def _proposal(session: Session, product: c_void_p, layouts: tuple[c_void_p, c_void_p, c_void_p]) -> Algorithm:
    preference = c_void_p()
    _check(library().cublasLtMatmulPreferenceCreate(byref(preference)))
    limit = c_uint64(session.workspace.nbytes)
    found, count = Proposal(), c_int()
    weight, x, total = layouts
    try:
        _check(
            library().cublasLtMatmulPreferenceSetAttribute(
                preference, _WORKSPACE_LIMIT, byref(limit), c_size_t(ctypes.sizeof(limit))
            )
        )
        _check(
            library().cublasLtMatmulAlgoGetHeuristic(
                session.handle, product, weight, x, total, total, preference, 1, byref(found), byref(count)
            )
        )
    finally:
        library().cublasLtMatmulPreferenceDestroy(preference)
    if not count.value or found.state:
        raise RuntimeError("cuBLASLt has no algorithm for this product")
    algorithm: Algorithm = found.algorithm
    return algorithm


def _describe(product: c_void_p, name: int, value: ctypes._SimpleCData) -> None:  # type: ignore[type-arg]
    _check(library().cublasLtMatmulDescSetAttribute(product, name, byref(value), c_size_t(ctypes.sizeof(value))))


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLASLt failed with status {status}")
