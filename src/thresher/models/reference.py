"""What a user calls a model -> the files that hold it.

demo                        the small model shipped with Thresher
path/model.gguf             a file, or the first of several shards
path/folder                 the only GGUF model in it, or a checkpoint (config.json, tokenizer.json, safetensors)
owner/repo, owner/repo:Q4_K_M     a repository on the hub, and the quantization wanted
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from thresher.errors import ModelError, ModelNotFoundError
from thresher.models.checkpoint import is_checkpoint
from thresher.models.files import ModelFiles, Progress, checkpoint_files
from thresher.models.shards import is_first_file, model_name, shards_of
from thresher.suggestions import did_you_mean

#: owner/repo or owner/repo:QUANT
HUB_REFERENCE = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+?)(?::(?P<quantization>[\w.-]+))?$")


def resolve(reference: str, *, offline: bool | None = None, progress: Progress | None = None) -> ModelFiles:
    """Find the files of ``reference``, downloading them from the hub when they are not here yet.

    ``offline`` forbids the network; None follows ``HF_HUB_OFFLINE``. ``progress`` is called during a download.

    Raises:
        ModelNotFoundError: nothing is there; the message names what is.
        ModelDownloadError: the hub cannot be reached or the disk is too small.
        ModelFormatError: a kind of model that this version cannot read.
        ModelError: a server's address, which has no files; see :mod:`~thresher.models.served`.
    """
    reference = reference.strip()
    if reference == "demo":
        return _demo()
    if re.match(r"^https?://", reference, re.IGNORECASE):
        raise ModelError(
            f"{reference}: the address of a server, where a model's files are wanted; give a .gguf file, a folder or a "
            "hub name such as owner/repo:Q4_K_M"
        )
    path = Path(reference).expanduser()
    if path.is_file() and path.suffix.lower() == ".safetensors":
        path = path.parent
    if path.is_dir():
        return files_in_folder(path, reference)
    if path.exists() or path.suffix.lower() == ".gguf":
        return files_at(path, reference)
    hub_reference = HUB_REFERENCE.match(reference)
    if hub_reference:
        from thresher.models.hub import fetch  # only here, because the hub's library takes long to import

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
    return did_you_mean(path.name, [*beside, "demo"], most=3)
