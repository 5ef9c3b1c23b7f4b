"""Multiplying by one weight, in every precision: ``base`` is the contract, a module per precision, a table of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

import torch

from thresher.engines.native.linear.base import Activation, Linear
from thresher.engines.native.linear.storage import StoredLinear

__all__ = ["PRECISIONS", "Activation", "Linear", "empty_linear", "make_linear"]

#: Name -> what multiplies in it.
PRECISIONS: Mapping[str, str] = {
    "fp32": "thresher.engines.native.linear.plain:Fp32Linear",
    "bf16": "thresher.engines.native.linear.plain:Bf16Linear",
    "fp8": "thresher.engines.native.linear.fp8:Fp8Linear",
    "int8": "thresher.engines.native.linear.int8:Int8Linear",
    "nvfp4": "thresher.engines.native.linear.nvfp4:Nvfp4Linear",
    "nvfp4-bf16": "thresher.engines.native.linear.nvfp4_weights:Nvfp4Bf16Linear",
    "nvfp4-fp8": "thresher.engines.native.linear.nvfp4_weights:Nvfp4Fp8Linear",
}


def make_linear(weight: torch.Tensor, precision: str, device: torch.device | str) -> Linear:
    """A layer that multiplies by ``weight`` [out, in] of any floating dtype; it is converted on ``device``.

    Raises:
        ValueError: no such precision, or ``in`` is not a multiple of what it needs (16 for fp8, int8 and nvfp4).
    """
    return _kind(precision).from_weight(weight.to(device))


def empty_linear(out_features: int, in_features: int, precision: str, device: torch.device | str) -> Linear:
    """A layer of that size with random storage, made in its own format, as benchmarks and streaming's blocks need it.

    ``make_linear(weight, ...).tensors()`` has the same names, shapes and dtypes. On the device ``meta`` it takes no
    memory: ``empty_linear(out, in, precision, "meta").with_tensors(tensors)`` makes a layer from its storage.

    Raises:
        ValueError: as :func:`make_linear`.
    """
    kind = _kind(precision)
    tensors = kind.random(out_features, in_features, device)
    return kind(tensors, in_features=in_features, out_features=out_features)


def _kind(precision: str) -> type[StoredLinear]:
    if precision not in PRECISIONS:
        raise ValueError(f"there is no precision {precision!r}, only {', '.join(PRECISIONS)}")
    module, _, name = PRECISIONS[precision].partition(":")
    return cast(type[StoredLinear], getattr(importlib.import_module(module), name))
