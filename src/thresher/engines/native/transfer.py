"""Small tensors between the host and the device that computes, without either waiting for the other.

A copy from pageable memory waits until the device has done all that it was given before; one from pinned memory takes
its place in the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


def to_device(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """``values`` on ``device``; on CUDA valid for what is launched from now on, on the current stream."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda" or not tensor.numel():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: torch.Tensor) -> Callable[[], npt.NDArray[Any]]:
    """Begin to copy ``tensor`` to the host; what is returned waits for it, and for nothing that is launched later."""
    if tensor.device.type != "cuda":
        return tensor.numpy
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(tensor.device))

    def wait() -> npt.NDArray[Any]:
        arrived.synchronize()
        return host.numpy()

    return wait
