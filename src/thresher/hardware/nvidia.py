"""The NVIDIA GPUs of this machine, by ``nvidia-smi``, which every driver brings; no CUDA is started."""

from __future__ import annotations

import shutil
import subprocess

from thresher.hardware.facts import GpuFacts
from thresher.hardware.gpus import known_gpu

_MIB = 1 << 20
_TIMEOUT_S = 20
_FIELDS = ("name", "memory.total", "memory.free", "compute_cap")


def nvidia_gpus() -> tuple[GpuFacts, ...]:
    """Every GPU that the driver shows, in its order; none where there is no driver or it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    command = [program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_answer(answer)


def parse_answer(answer: str) -> tuple[GpuFacts, ...]:
    """One GPU a line: name, memory and free memory in MiB, compute capability; lines that tell less are left out."""
    found = []
    for line in answer.splitlines():
        name, *figures = (part.strip() for part in line.rsplit(",", len(_FIELDS) - 1))
        if len(figures) == len(_FIELDS) - 1 and figures[0].isdigit() and figures[1].isdigit():
            found.append(known_gpu(name, int(figures[0]) * _MIB, int(figures[1]) * _MIB, _capability(figures[2])))
    return tuple(found)


def _capability(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
