"""The models that engines are tested on, each made once per process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from tests.conftest import MODEL
from tests.support.gguf_models import write_float32_copy, write_plain_attention_model
from thresher.models import Model, open_model, resolve

_FOLDER = tempfile.TemporaryDirectory(prefix="thresher-models-")


@cache
def shipped() -> Model:
    """The shipped model: hybrid layers, Q8_0."""
    return open_model(resolve(MODEL))


@cache
def float32() -> Model:
    """The shipped model with its weights in float32."""
    return _open(write_float32_copy(shipped().files.path, Path(_FOLDER.name) / "float32.gguf"))


@cache
def plain() -> Model:
    """A random model with attention layers only."""
    return _open(write_plain_attention_model(shipped().files.path, Path(_FOLDER.name) / "plain.gguf"))


def _open(path: Path) -> Model:
    return open_model(resolve(str(path)))
