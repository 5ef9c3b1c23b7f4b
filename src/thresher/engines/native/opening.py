"""Opens the engine ``native``. torch is imported only when something is opened or asked about."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from thresher.engines.base import EngineOptions
from thresher.errors import EngineUnavailableError
from thresher.hardware import GpuFacts
from thresher.models.model import Model

if TYPE_CHECKING:
    from thresher.engines.native.engine import NativeEngine

#: What ``general.architecture`` of a GGUF file or ``model_type`` of a checkpoint may be.
ARCHITECTURES = frozenset({"qwen35", "qwen35moe", "qwen3", "qwen3moe", "qwen3_5", "qwen3_5_moe", "qwen3_moe"})


#: How often a thread of torch's OpenMP looks whether the others are done before it sleeps; its own number is 300,000.
_SPINS = "3000"
_SPIN_SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


class Native:
    """How the registry opens it."""

    @staticmethod
    def open(model: Model, options: EngineOptions) -> NativeEngine:
        """See :func:`thresher.engines.native.assembly.open_native`."""
        _prepare_for_torch()
        from thresher.engines.native.assembly import open_native

        return open_native(model, options)

    @staticmethod
    def version() -> str:
        """Torch and its version. Raises ``EngineUnavailableError`` when it is not installed."""
        _prepare_for_torch()
        return f"torch {importlib.metadata.version('torch')}"

    @staticmethod
    def about() -> str:
        """The devices it would compute on."""
        _prepare_for_torch()
        import torch

        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return ", ".join(names) or "the CPU"

    @staticmethod
    def gpus(device: str | None) -> tuple[GpuFacts, ...]:
        """What is free on the GPUs it would compute on; where none is named, also those it may spread over."""
        _prepare_for_torch()
        from thresher.engines.native.devices import choose_devices, gpu_facts, gpus_like

        devices = choose_devices(device)
        return gpu_facts(gpus_like(devices[0]) if device is None and devices[0].type == "cuda" else devices)

    @staticmethod
    def settings() -> Mapping[str, tuple[int, int]]:
        """What a profile may hold."""
        _prepare_for_torch()
        from thresher.engines.native.sizing import SETTINGS

        return SETTINGS

    @staticmethod
    def unsuited(model: Model) -> str:
        """Why ``auto`` should not take it for ``model``; asked where torch is there."""
        if model.facts.architecture not in ARCHITECTURES:
            return f"it reads Qwen3.5 and Qwen3, not {model.facts.architecture}"
        if model.tokenizer is None:
            return f"it has no tokenizer for the vocabulary {model.facts.tokenizer_model}"
        if model.checkpoint is not None:
            return ""  # no other engine reads checkpoints
        _prepare_for_torch()
        import torch

        return "" if torch.cuda.is_available() else "there is no CUDA device"


def _prepare_for_torch() -> None:
    """Before it is imported. Raises ``EngineUnavailableError`` when it is not installed."""
    if not _has_torch():
        raise EngineUnavailableError("torch is not installed; pip install 'thresher[native]'")
    _wait_briefly()


def _wait_briefly() -> None:
    """Let torch's threads that wait give their core to whoever has work.

    A product is done when its last thread is. Where something else has that thread's core, the others would spin
    through their time slices, and keep it from coming back. On two cores, the demo model: 1,640 to 1,900 tokens/s
    beside three busy programs instead of 710 to 740 (135 to 295 beside such as spin themselves), and 8,300 instead of
    8,500 alone; with 1,000 spins 5,700 alone. A user's own setting stays.
    """
    if not any(name in os.environ for name in _SPIN_SETTINGS):
        os.environ[_SPIN_SETTINGS[0]] = _SPINS


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None
