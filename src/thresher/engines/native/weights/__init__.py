"""Weights as they lie in files: ``source`` is the contract, a module per kind of file, ``open_weights`` chooses."""

from __future__ import annotations

from thresher.engines.native.weights.gguf import open_gguf
from thresher.engines.native.weights.safetensors import open_checkpoint_weights
from thresher.engines.native.weights.source import WeightSource
from thresher.models.model import Model

__all__ = ["WeightSource", "open_weights"]


def open_weights(model: Model) -> WeightSource:
    """The weights of ``model``, from whatever kind of files it has; no weight is read yet.

    Raises:
        ModelNotFoundError: a file cannot be opened.
        ModelFormatError: a family that is not built, a config key that is missing or unknown, or a tensor that is
            missing or of another shape than the config promises; names it.
    """
    if model.checkpoint is not None:
        return open_checkpoint_weights(model.checkpoint)
    return open_gguf(list(zip(model.files.shards, model.headers, strict=True)))
