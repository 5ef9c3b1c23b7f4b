"""Host memory that a card copies from by itself: pages that stay where they are.

Torch's own pinned memory comes in powers of two, which would take half as much again for the layers of a model; so
plain memory is registered with the driver, in the size that is wanted.
"""

from __future__ import annotations

import mmap
from typing import Any

import torch

from thresher.errors import EngineCapacityError

_GIB = 1 << 30
_PAGE = 4096
_PRIVATE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}  # Windows has no flags
)


class PinnedMemory:
    """One allocation; ``block`` is uint8 [size], all zeros at first. It must not be used after :meth:`close`."""

    def __init__(self, size: int) -> None:
        """Raises ``EngineCapacityError`` where the machine has no such memory."""
        whole = -(-size // _PAGE) * _PAGE
        try:
            self._map = mmap.mmap(-1, whole, **_PRIVATE)
        except OSError as error:
            raise _too_large(size, str(error)) from error
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._map.madvise(mmap.MADV_HUGEPAGE)
        pages = torch.frombuffer(self._map, dtype=torch.uint8)
        pages.zero_()  # by all threads: the driver would touch the pages one after the other
        self.block = pages[:size]
        self._address = pages.data_ptr()
        _check(size, _runtime().cudaHostRegister(self._address, whole, 0))

    def close(self) -> None:
        """Give it back, once nothing copies from it any more. Safe twice."""
        if self._address:
            torch.cuda.synchronize()
            _runtime().cudaHostUnregister(self._address)
            self._address = 0
            self.block = torch.empty(0, dtype=torch.uint8)


def pinned_copy(tensor: torch.Tensor) -> tuple[torch.Tensor, PinnedMemory]:
    """``tensor`` in pinned memory, which must be kept as long as it is used."""
    memory = PinnedMemory(tensor.nbytes)
    copy = memory.block.view(tensor.dtype).view(tensor.shape)
    copy.copy_(tensor)
    return copy, memory


def _runtime() -> Any:
    return torch.cuda.cudart()  # type: ignore[no-untyped-call]


def _check(size: int, status: Any) -> None:
    if int(status) != 0:
        raise _too_large(size, f"CUDA error {int(status)}")


def _too_large(size: int, reason: str) -> EngineCapacityError:
    return EngineCapacityError(
        f"the host gives no {size / _GIB:.2f} GiB of memory that a GPU can copy from ({reason}); free host memory, or "
        "raise --weights-memory so that fewer layers are streamed"
    )
