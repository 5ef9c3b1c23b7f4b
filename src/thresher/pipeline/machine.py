"""The machine that a plan is for: this one, or one with GPUs that the user names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from thresher.errors import UsageError
from thresher.hardware import GpuFacts, HardwareFacts, named_gpu, probe_hardware, unnamed_gpu

_MOST_GPUS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineWishes:
    """What the user says of the machine. None: as this one is."""

    gpu: str | None = None
    vram_bytes: int | None = None  # of each GPU
    gpus: int | None = None
    ram_bytes: int | None = None
    on_cpu: bool = False


def find_machine(wishes: MachineWishes) -> HardwareFacts:
    """This machine with what ``wishes`` say in place of its own.

    Raises:
        UsageError: a GPU that is not in the table, or several GPUs of a machine that has none.
    """
    here = probe_hardware()
    if wishes.ram_bytes is not None:
        here = replace(here, memory_bytes=wishes.ram_bytes, free_memory_bytes=wishes.ram_bytes, present=False)
    if wishes.on_cpu:
        if wishes.gpu or wishes.vram_bytes or wishes.gpus:
            raise UsageError("--device cpu plans without a GPU; leave out --gpu, --gpus and --vram")
        return replace(here, gpus=())
    if wishes.gpus is not None and not 1 <= wishes.gpus <= _MOST_GPUS:
        raise UsageError(f"--gpus {wishes.gpus}: give 1 to {_MOST_GPUS}")
    if wishes.gpu is None and wishes.vram_bytes is None:
        return here if wishes.gpus is None else replace(here, gpus=_as_many(here, wishes.gpus), present=False)
    return replace(here, gpus=(_gpu_of(wishes),) * (wishes.gpus or 1), present=False)


def _gpu_of(wishes: MachineWishes) -> GpuFacts:
    if wishes.gpu is None:
        return unnamed_gpu(wishes.vram_bytes or 0)
    gpu = named_gpu(wishes.gpu)
    if wishes.vram_bytes is None:
        return gpu
    return replace(gpu, memory_bytes=wishes.vram_bytes, free_bytes=wishes.vram_bytes)


def _as_many(here: HardwareFacts, count: int) -> tuple[GpuFacts, ...]:
    if not here.gpus:
        raise UsageError(
            f"--gpus {count}: nvidia-smi shows no GPU in this machine; name one with --gpu, such as --gpu rtx-4090, or "
            "give its memory, as in --vram 24"
        )
    return tuple(here.gpus[index % len(here.gpus)] for index in range(count))
