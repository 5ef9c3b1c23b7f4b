"""What the machine has: processors, memory, GPUs, and a table of GPUs by name. Decides nothing."""

from thresher.hardware.facts import GpuFacts, HardwareFacts
from thresher.hardware.gpus import gpu_names, named_gpu, unnamed_gpu
from thresher.hardware.probe import probe_hardware

__all__ = ["GpuFacts", "HardwareFacts", "gpu_names", "named_gpu", "probe_hardware", "unnamed_gpu"]
