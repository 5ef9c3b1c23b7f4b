"""Servers that engines are tested on, each started once per process when it is first asked for, and ended with it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.support import engine_models
from tests.support.llama_server import LlamaServer
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
    return LlamaServer(Path(path.name), slots=1, context=8192, folder=path.parent)


def saved_and_local() -> ServedModel:
    return ServedModel(addresses=(saving().url,))


def unsaved_and_remote() -> ServedModel:
    return ServedModel(addresses=(plain().url,))
