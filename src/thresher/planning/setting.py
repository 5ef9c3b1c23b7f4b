"""What is asked of an engine, and what a machine offers to it."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.hardware import GpuFacts, HardwareFacts

#: The engines that plans are made for, in the order in which they are shown.
ENGINES = ("native", "llamacpp", "llama-server", "vllm", "sglang")
#: What a process takes on an NVIDIA GPU before it computes anything: the driver's context and the libraries' kernels.
#: An allowance from above: torch processes show 0.3 to 0.5 GiB, depending on driver and card.
CUDA_CONTEXT_BYTES = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run a model."""

    engine: str
    precision: str
    context_tokens: int  # of one request: prefix, document, question and answer
    slots: int | None = None  # requests at a time; None leaves it to the engine, or takes what fits
    gpus: int = 0  # 0: on the CPU
    weights_memory_bytes: int | None = None  # native: the most that weights may take on each device
    pack_tokens: int | None = None  # native; None: what the engine would choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Memory that the devices of one kind have for a process."""

    device_bytes: int  # free on each device
    total_bytes: int  # of each device
    host_bytes: int  # free in host memory; the same as ``device_bytes`` on a CPU
    on_gpu: bool


def room_for(hardware: HardwareFacts, setting: Setting) -> Room:
    """What ``setting`` may take. GPUs beside those of the machine are taken to be like the smallest of them."""
    host = hardware.free_memory_bytes
    if not setting.gpus:
        return Room(device_bytes=host, total_bytes=hardware.memory_bytes, host_bytes=host, on_gpu=False)
    gpu = least_gpu(hardware)
    return Room(
        device_bytes=max(0, gpu.free_bytes - (0 if gpu.in_use else CUDA_CONTEXT_BYTES)),
        total_bytes=gpu.memory_bytes,
        host_bytes=host,
        on_gpu=True,
    )


def process_bytes(vocabulary: int) -> int:
    """What a process takes of host memory beside the model and its work: Python's and libraries' own, the vocabulary as
    the tokenizers keep it. An allowance, fitted to measured growth (benchmarks/plan_memory.py).
    """
    return (16 << 20) + 1280 * vocabulary


def least_gpu(hardware: HardwareFacts) -> GpuFacts:
    """The GPU with the least memory free, which bounds what is laid over all of them."""
    return min(hardware.gpus, key=lambda gpu: gpu.free_bytes)
