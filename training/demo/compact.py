"""Weights in a quarter of their size, for the way to the training machine: matrices as int8 with a scale a row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_SCALE = ".scale"


def shrink(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in int8, all else in half precision."""
    small: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim != 2:
            small[name] = value.half()
            continue
        scale = value.float().abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
        small[name] = (value.float() / scale).round().to(torch.int8)
        small[name + _SCALE] = scale
    return small


def grow(small: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 weights that ``shrink`` took."""
    return {
        name: value.float() * small.get(name + _SCALE, 1.0)
        for name, value in small.items()
        if not name.endswith(_SCALE)
    }
