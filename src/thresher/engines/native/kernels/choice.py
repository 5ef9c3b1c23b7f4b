"""Which implementation of an operation runs on a device."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from types import ModuleType

import torch

#: Compute capability from which bfloat16 is there for kernels to compute with.
_LEAST_CAPABILITY = (8, 0)


def implementation(operation: str, device: torch.device) -> ModuleType:
    """The module ``triton`` or ``reference`` in the folder of ``operation``; both have the same functions."""
    kind = "triton" if runs_triton(device) else "reference"
    return importlib.import_module(f"thresher.engines.native.kernels.{operation}.{kind}")


@cache
def runs_triton(device: torch.device) -> bool:
    """Whether Triton is installed and compiles for ``device``."""
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY
