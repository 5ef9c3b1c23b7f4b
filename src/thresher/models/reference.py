"""What a user calls a model -> the files that hold it.

demo                        the small model shipped with Thresher
path/model.gguf             a file, or the first of several shards
path/folder                 the only GGUF model in it, or a checkpoint (config.json, tokenizer.json, safetensors)
owner/repo, owner/repo:Q4_K_M     a repository on the hub, and the quantization wanted
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePath
from typing import TypeVar

from thresher.errors import ModelError, ModelNotFoundError
from thresher.models.checkpoint import checkpoint_shards, is_checkpoint

AnyPath = TypeVar("AnyPath", bound=PurePath)
#: Called with (bytes present, bytes in all) while a download goes on.
Progress = Callable[[int, int], None]

_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_HUB_REFERENCE = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+?)(?::(?P<quantization>[\w.-]+))?$")


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


def resolve(reference: str, *, offline: bool | None = None, progress: Progress | None = None) -> ModelFiles:
    """Find the files of ``reference``, downloading them from the hub when they are not here yet.

    ``offline`` forbids the network; None follows ``HF_HUB_OFFLINE``. ``progress`` is called during a download.

    Raises:
        ModelNotFoundError: nothing is there; the message names what is.
        ModelDownloadError: the hub cannot be reached or the disk is too small.
        ModelFormatError: a kind of model that this version cannot read.
        ModelError: a server's address, which this version's engines do not take.
    """
    reference = reference.strip()
    if reference == "demo":
        return _demo()
    if re.match(r"^https?://", reference, re.IGNORECASE):
        raise ModelError(
            f"{reference}: the address of a server is not supported by the engines of this version; "
            "give a .gguf file, a folder or a hub name such as owner/repo:Q4_K_M"
        )
    path = Path(reference).expanduser()
    if path.is_file() and path.suffix.lower() == ".safetensors":
        path = path.parent
    if path.is_dir():
        return files_in_folder(path, reference)
    if path.exists() or path.suffix.lower() == ".gguf":
        return files_at(path, reference)
    hub_reference = _HUB_REFERENCE.match(reference)
    if hub_reference:
        from thresher.models.hub import fetch

        return fetch(
            hub_reference["repo"], hub_reference["quantization"], reference, offline=offline, progress=progress
        )
    raise ModelNotFoundError(
        f"{reference!r} is no file, no folder and no hub name{_nearest(path)}; "
        "a model is `demo`, a .gguf file, a folder with one or with a checkpoint, or owner/repo:QUANT on the hub"
    )


def files_at(path: Path, reference: str) -> ModelFiles:
    """The model whose file, or any of whose shards, is ``path``. Raises ``ModelNotFoundError`` for what is missing."""
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file{_nearest(path)}")
    shards = shards_of(path)
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise ModelNotFoundError(
            f"{path}: the model has {len(shards)} shards and {len(missing)} of them are missing beside it: "
            f"{', '.join(missing[:5])}"
        )
    return ModelFiles(reference=reference, name=model_name(path.name), path=shards[0], shards=shards)


def files_in_folder(folder: Path, reference: str) -> ModelFiles:
    """The only GGUF model in ``folder``, else the checkpoint that it is.

    Raises:
        ModelNotFoundError: there is none, or more than one.
        ModelFormatError: the weights are of a kind that is never loaded.
    """
    models = [path for path in sorted(folder.iterdir()) if is_first_file(path.name)]
    if len(models) == 1:
        return files_at(models[0], reference)
    if models:
        names = ", ".join(path.name for path in models[:10])
        raise ModelNotFoundError(f"{folder}: holds {len(models)} models ({names}); name one of the files")
    if is_checkpoint(folder):
        return checkpoint_files(folder, reference, folder.resolve().name)
    found = ", ".join(path.name for path in sorted(folder.iterdir())[:10]) or "nothing"
    raise ModelNotFoundError(f"{folder}: holds no .gguf file and no checkpoint (it holds {found})")


def checkpoint_files(folder: Path, reference: str, name: str) -> ModelFiles:
    """The checkpoint in ``folder``. Raises as :func:`files_in_folder`."""
    return ModelFiles(reference=reference, name=name, path=folder, shards=checkpoint_shards(folder))


def shards_of(path: AnyPath) -> tuple[AnyPath, ...]:
    """All shards of the model that ``path`` is a shard of, in order; just ``path`` when it is the only file."""
    match = _SHARD.match(path.name)
    if not match:
        return (path,)
    count = int(match["count"])
    suffix = path.name[-len(".gguf") :]
    return tuple(
        path.with_name(f"{match['stem']}-{number:05d}-of-{count:05d}{suffix}") for number in range(1, count + 1)
    )


def model_name(file_name: str) -> str:
    """What people call the model in a file of this name."""
    match = _SHARD.match(file_name)
    return match["stem"] if match else Path(file_name).stem


def is_projector(file_name: str) -> bool:
    """Whether a GGUF file of this name holds a vision or audio projector, which reads no text."""
    return "mmproj" in file_name.lower()


def is_first_file(file_name: str) -> bool:
    """Whether a file of this name is a GGUF model or the first shard of one."""
    match = _SHARD.match(file_name)
    is_gguf = file_name.lower().endswith(".gguf") and not is_projector(file_name) and not file_name.startswith(".")
    return is_gguf and (match is None or int(match["number"]) == 1)


def _demo() -> ModelFiles:
    path = Path(str(resources.files("thresher.models") / "demo" / "demo.gguf"))
    if not path.is_file():
        raise ModelNotFoundError(f"the demo model is missing from this installation (no {path}); install thresher anew")
    return ModelFiles(reference="demo", name="demo", path=path, shards=(path,))


def _nearest(path: Path) -> str:
    """A question naming the GGUF files beside ``path`` whose names are nearest; empty where none is near."""
    try:
        beside = [entry.name for entry in path.parent.iterdir() if entry.suffix == ".gguf" or entry.is_dir()]
    except OSError:
        return ""
    return suggestion(path.name, [*beside, "demo"])


def suggestion(wanted: str, known: Sequence[str]) -> str:
    """A question naming the ``known`` names nearest to ``wanted``, to end a message; empty where none is near."""
    near = difflib.get_close_matches(wanted, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""
