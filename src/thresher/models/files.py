"""The files of a model on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thresher.models.checkpoint import checkpoint_shards

#: Called with (bytes present, bytes in all) while a model is downloaded.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """A model's files on this machine. With one file, ``shards`` holds just ``path``."""

    reference: str  # what the user wrote
    name: str  # for people, e.g. "Qwen3.5-27B-UD-Q5_K_XL"
    path: Path  # the first shard, which llama.cpp is given; of a checkpoint its folder
    shards: tuple[Path, ...]

    @property
    def is_checkpoint(self) -> bool:
        """Whether this is a folder with safetensors files rather than GGUF."""
        return self.path not in self.shards


def checkpoint_files(folder: Path, reference: str, name: str) -> ModelFiles:
    """The checkpoint in ``folder``. Raises ``ModelNotFoundError`` or ``ModelFormatError``."""
    return ModelFiles(reference=reference, name=name, path=folder, shards=checkpoint_shards(folder))
