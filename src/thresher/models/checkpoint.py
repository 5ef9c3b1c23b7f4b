"""A folder with a Hugging Face checkpoint: its config, its safetensors headers, its tokenizer's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models.config_file import ConfigSection, read_config_file
from thresher.models.safetensors_file import SafetensorsHeader, StoredTensor, read_safetensors_header

CONFIG, TOKENIZER, TOKENIZER_CONFIG, TEMPLATE = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
INDEX = "model.safetensors.index.json"
#: The files beside the weights that a model needs, those first that must be there.
SMALL_FILES = (CONFIG, TOKENIZER, TOKENIZER_CONFIG, TEMPLATE, INDEX)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint says about itself."""

    folder: Path
    config: ConfigSection
    tokenizer_config: ConfigSection
    headers: tuple[SafetensorsHeader, ...]

    @cached_property
    def tensors(self) -> Mapping[str, StoredTensor]:
        """Every tensor of every file. Raises ``ModelFormatError`` for a name that stands in two files."""
        found: dict[str, StoredTensor] = {}
        for header in self.headers:
            for tensor in header.tensors:
                if tensor.name in found:
                    raise ModelFormatError(
                        f"{self.folder}: the tensor {tensor.name!r} is in {found[tensor.name].path.name} and in "
                        f"{tensor.path.name}; keep the files of one model only"
                    )
                found[tensor.name] = tensor
        return found

    @property
    def chat_template(self) -> str | None:
        """Its source: ``chat_template.jinja``, else the default one in ``tokenizer_config.json``."""
        path = self.folder / TEMPLATE
        if path.is_file():
            try:
                return path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ModelFormatError(f"{path}: cannot be read: {error}") from error
        named = self.tokenizer_config.values.get("chat_template")
        if isinstance(named, list):
            templates = {entry.get("name"): entry.get("template") for entry in named if isinstance(entry, dict)}
            named = templates.get("default")
        return named if isinstance(named, str) and named else None

    def token(self, name: str) -> str | None:
        """The text of the token called ``name`` ("bos_token", "eos_token"), where the tokenizer has one."""
        value = self.tokenizer_config.values.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        return text if isinstance(text, str) and text else None


def is_checkpoint(folder: Path) -> bool:
    """Whether ``folder`` holds a checkpoint, or something that should be one."""
    return (folder / CONFIG).is_file() or any(folder.glob("*.safetensors"))


def checkpoint_shards(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of the checkpoint in ``folder``.

    Raises:
        ModelNotFoundError: there are none, or some that the index names are missing.
        ModelFormatError: the weights are pickles, which are never loaded, or the index is damaged.
    """
    if (folder / INDEX).is_file():
        return _indexed_shards(folder)
    found = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if found:
        return tuple(found)
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise ModelFormatError(
            f"{folder}: the weights are a Python pickle ({pickles[0]}), which is never loaded because it can run "
            "any program; fetch a version of the model with safetensors, or a GGUF of it"
        )
    raise ModelNotFoundError(f"{folder}: holds a {CONFIG} and no weights (no *.safetensors file)")


def open_checkpoint(folder: Path, shards: tuple[Path, ...]) -> Checkpoint:
    """Read everything but weights and vocabulary.

    Raises:
        ModelNotFoundError: a file cannot be opened.
        ModelFormatError: a file is damaged.
    """
    settings = folder / TOKENIZER_CONFIG
    return Checkpoint(
        folder=folder,
        config=read_config_file(folder / CONFIG),
        tokenizer_config=read_config_file(settings) if settings.is_file() else ConfigSection(str(settings), {}),
        headers=tuple(read_safetensors_header(path) for path in shards),
    )


def _indexed_shards(folder: Path) -> tuple[Path, ...]:
    weight_map = read_config_file(folder / INDEX).require("weight_map", dict)
    names = sorted({str(name) for name in weight_map.values()})
    outside = [name for name in names if Path(name).name != name]
    if outside or not names:
        raise ModelFormatError(f"{folder / INDEX}: names {outside[:1] or 'no file'}, and not files beside it; damaged")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelNotFoundError(
            f"{folder}: the model has {len(names)} shards and {len(missing)} of them are missing: "
            f"{', '.join(missing[:5])}; download them again"
        )
    return tuple(folder / name for name in names)
