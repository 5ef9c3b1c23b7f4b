"""The GPUs that llama-server would compute on, as it lists them: also those that no other tool here knows."""

from __future__ import annotations

import re

from thresher.hardware import GpuFacts

_MIB = 1 << 20
#: llama-server --list-devices: ``  CUDA0: NVIDIA H100 (81559 MiB, 80994 MiB free)``
_DEVICE = re.compile(r"^\s+[A-Za-z]+\d+: (?P<name>.+) \((?P<total>\d+) MiB, (?P<free>\d+) MiB free\)", re.MULTILINE)


def parse_devices(text: str) -> tuple[GpuFacts, ...]:
    """From what ``llama-server --list-devices`` prints; memory shared with the processor counts too."""
    return tuple(
        GpuFacts(name=found["name"], memory_bytes=int(found["total"]) * _MIB, free_bytes=int(found["free"]) * _MIB)
        for found in _DEVICE.finditer(text)
    )
