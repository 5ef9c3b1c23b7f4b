"""Which devices to compute on, and what they have free."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from thresher.errors import EngineUnavailableError, UsageError
from thresher.hardware import GpuFacts
from thresher.hardware.host_memory import available_bytes

CPU = torch.device("cpu")
_ALL_GPUS = "gpus"


def choose_devices(asked: str | None) -> list[torch.device]:
    """The devices named, in order, as the model's layers are to lie on them.

    ``asked``: ``cpu``, ``gpu``, ``cuda:N``, several of one kind joined by commas, or ``gpus``, which is all CUDA
    devices; None is the first CUDA device, else the CPU. A device named twice is used as two.

    Raises:
        UsageError: no such name, or devices of several kinds.
        EngineUnavailableError: a CUDA device that is not there.
    """
    if asked is None:
        return [torch.device("cuda", 0) if torch.cuda.is_available() else CPU]
    if asked == _ALL_GPUS:
        return [_cuda(asked, number) for number in range(max(1, torch.cuda.device_count()))]
    devices = [_device(asked, name.strip()) for name in asked.split(",")]
    if len({device.type for device in devices}) > 1:
        raise UsageError(f"--device {asked}: give devices of one kind, CPUs or GPUs")
    return devices


def gpus_like(first: torch.device) -> list[torch.device]:
    """Every CUDA device of this machine that computes in whatever ``first`` does; the first one is first."""
    least = torch.cuda.get_device_capability(first)
    others = [torch.device("cuda", number) for number in range(torch.cuda.device_count()) if number != first.index]
    return [first, *(other for other in others if torch.cuda.get_device_capability(other) >= least)]


def least_capability(devices: Sequence[torch.device]) -> tuple[int, int] | None:
    """The lowest compute capability among them; None for a CPU."""
    return min((torch.cuda.get_device_capability(d) for d in devices if d.type == "cuda"), default=None)


def free_bytes(devices: Sequence[torch.device]) -> list[int]:
    """Memory that is free for each; what is named more than once shares its memory evenly."""
    free = {
        device: available_bytes() if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]
        for device in set(devices)
    }
    return [free[device] // list(devices).count(device) for device in devices]


def gpu_facts(devices: Sequence[torch.device]) -> tuple[GpuFacts, ...]:
    """Memory and compute capability of the CUDA devices among ``devices``."""
    gpus = [device for device in devices if device.type == "cuda"]
    return tuple(
        GpuFacts(
            name=torch.cuda.get_device_name(gpu),
            memory_bytes=torch.cuda.mem_get_info(gpu)[1],
            free_bytes=free,
            capability=torch.cuda.get_device_capability(gpu),
            in_use=True,
        )
        for gpu, free in zip(gpus, free_bytes(gpus), strict=True)
    )


def describe(devices: Sequence[torch.device]) -> str:
    """For people: ``2 x NVIDIA H100``, or ``cpu, 4 threads``."""
    names = [torch.cuda.get_device_name(d) if d.type == "cuda" else "cpu" for d in devices]
    threads = f", {torch.get_num_threads()} threads" if "cpu" in names else ""
    counts = {name: names.count(name) for name in names}
    return ", ".join(name if count == 1 else f"{count} x {name}" for name, count in counts.items()) + threads


def _device(asked: str, name: str) -> torch.device:
    if name == "cpu":
        return CPU
    number = name.removeprefix("cuda:")
    if name in {"gpu", "cuda"}:
        return _cuda(asked, 0)
    if not number.isdecimal():
        raise UsageError(
            f"--device {asked}: the engine native knows the devices cpu, gpu and cuda:N, several of them joined by "
            f"commas, and {_ALL_GPUS} for all GPUs"
        )
    return _cuda(asked, int(number))


def _cuda(asked: str, number: int) -> torch.device:
    if number >= torch.cuda.device_count():
        raise EngineUnavailableError(
            f"--device {asked}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA devices; "
            "install a CUDA build of torch and a driver for it, or use --device cpu"
        )
    return torch.device("cuda", number)
