"""The GPUs of this machine, as the tools of their makers tell them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass

from thresher.engines.servers.managed.asking import ask
from thresher.errors import EngineUnavailableError

_MIB = 1 << 20
_TIMEOUT_S = 20.0
#: llama-server --list-devices: ``  CUDA0: NVIDIA H100 (81559 MiB, 80994 MiB free)``
_DEVICE = re.compile(r"^\s+(?P<id>[A-Za-z]+\d+): (?P<name>.+) \((?P<total>\d+) MiB, (?P<free>\d+) MiB free\)", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU."""

    name: str
    total_bytes: int
    free_bytes: int


def nvidia_gpus() -> tuple[Gpu, ...]:
    """As nvidia-smi tells them; empty where it is missing or finds none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        told = ask(
            [tool, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"], timeout_s=_TIMEOUT_S
        )
    except EngineUnavailableError:  # a driver that does not answer
        return ()
    rows = [line.rsplit(",", 2) for line in told.splitlines()]
    return tuple(
        Gpu(name=row[0].strip(), total_bytes=int(row[1]) * _MIB, free_bytes=int(row[2]) * _MIB)
        for row in rows
        if len(row) == 3 and row[1].strip().isdigit() and row[2].strip().isdigit()
    )


def parse_devices(text: str) -> tuple[Gpu, ...]:
    """From what ``llama-server --list-devices`` prints; memory shared with the processor counts too."""
    return tuple(
        Gpu(name=found["name"], total_bytes=int(found["total"]) * _MIB, free_bytes=int(found["free"]) * _MIB)
        for found in _DEVICE.finditer(text)
    )
