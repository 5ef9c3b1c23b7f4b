"""Weights in a quarter of their size, for the way to the training machine: matrices as int8 with a scale a row.

python compact.py CHECKPOINT... OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

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


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    weights: dict[str, Tensor] = {}
    for path in options.checkpoints:
        weights |= torch.load(path, map_location="cpu", weights_only=True)
    torch.save(shrink(weights), options.out)


if __name__ == "__main__":
    main()
