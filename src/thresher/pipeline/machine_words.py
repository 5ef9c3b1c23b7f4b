"""The machine that a pass ran on, in words for people."""

from __future__ import annotations

import platform
from collections import Counter

from thresher.hardware import probe_hardware

_GIB = 1 << 30


def machine_in_words() -> dict[str, str]:
    """What -> value: processor, memory, GPUs, system. Costs one call of the GPUs' driver where there is one."""
    facts = probe_hardware()
    words = {
        "processor": f"{facts.cpu}, {facts.cores} cores",
        "memory": f"{facts.memory_bytes / _GIB:.0f} GiB",
    }
    gpus = Counter((gpu.name, round(gpu.memory_bytes / _GIB)) for gpu in facts.gpus)
    if gpus:
        words["GPUs"] = ", ".join(f"{count} x {name} with {gib} GiB" for (name, gib), count in gpus.items())
    return words | {"system": platform.platform(), "Python": platform.python_version()}
