"""The machine that this process runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from thresher.hardware.facts import HardwareFacts
from thresher.hardware.host_memory import available_bytes, total_bytes
from thresher.hardware.nvidia import nvidia_gpus


def probe_hardware() -> HardwareFacts:
    """Processors, memory and GPUs. Starts nothing on a GPU and imports no library for one."""
    return HardwareFacts(
        cpu=_cpu_name(),
        cores=usable_cores(),
        memory_bytes=total_bytes(),
        free_memory_bytes=available_bytes(),
        gpus=nvidia_gpus(),
        present=True,
    )


def usable_cores() -> int:
    """Physical cores that this process may use: more threads than those slow down what computes all the time."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or usable, usable))


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
