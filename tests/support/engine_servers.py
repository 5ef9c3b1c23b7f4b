"""Servers that engines are tested on, each started once per process when it is first asked for, and ended with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.support import engine_models
from tests.support.fault_server import FaultServer
from tests.support.llama_server import LlamaServer
from tests.support.simulators import model, sglang, vllm
from tests.support.simulators.routes import Simulator
from thresher.models import ServedModel

_FOLDER = tempfile.TemporaryDirectory(prefix="thresher-slots-")


@cache
def saving() -> LlamaServer:
    """Keeps the states of slots; the model's file is here, too."""
    return LlamaServer(engine_models.shipped().files.path, slots=3, context=8192, saves=Path(_FOLDER.name))


@cache
def plain() -> LlamaServer:
    """Keeps no states and has one slot; its model is float32, and its file is not where it says."""
    path = engine_models.float32().files.path
    return LlamaServer(Path(path.name), slots=1, context=8192, folder=path.parent, full_precision=True)


def saved_and_local() -> ServedModel:
    return ServedModel(addresses=(saving().url,))


def unsaved_and_remote() -> ServedModel:
    return ServedModel(addresses=(plain().url,))


@cache
def simulated(which: str) -> FaultServer:
    """A simulated server, in threads of this process."""
    simulators: dict[str, Callable[[], Simulator]] = {
        "vllm, main": lambda: vllm.VllmSimulator(model.made_up()),
        "vllm, 0.10": lambda: vllm.VllmSimulator(model.made_up(), vllm.V0_10),
        "sglang, 0.5": lambda: sglang.SglangSimulator(model.made_up()),
        "sglang, gateway": lambda: sglang.SglangSimulator(model.made_up(), sglang.GATEWAY),
    }
    return FaultServer(simulators[which]()).__enter__()


def vllm_alone() -> ServedModel:
    return ServedModel(addresses=(simulated("vllm, main").url,))


def older_vllm() -> ServedModel:
    return ServedModel(addresses=(simulated("vllm, 0.10").url,), tokenizer=engine_models.shipped())


def sglang_with_files() -> ServedModel:
    return ServedModel(addresses=(simulated("sglang, 0.5").url,), tokenizer=engine_models.shipped())


def sglang_behind_a_gateway() -> ServedModel:
    return ServedModel(addresses=(simulated("sglang, gateway").url,), tokenizer=engine_models.shipped())
