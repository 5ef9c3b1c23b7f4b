"""What a user calls a model -> its outline, from local files or by byte ranges of remote ones, without the weights.

Beside what :mod:`~thresher.models.reference` takes: a folder with just a ``config.json``, one ``.safetensors`` file
with a ``config.json`` beside it, and the address of a ``.gguf`` file.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from thresher.errors import ModelError, ModelFormatError
from thresher.models.checkpoint import CONFIG, checkpoint_shards, is_checkpoint
from thresher.models.config_file import read_config_file
from thresher.models.files import ModelFiles
from thresher.models.gguf_file import parse_header, read_header
from thresher.models.model import Model
from thresher.models.outline import (
    ModelOutline,
    check_has_config,
    outline_of_checkpoint,
    outline_of_gguf,
    tokenizer_in,
)
from thresher.models.reference import HUB_REFERENCE, resolve
from thresher.models.safetensors_file import read_safetensors_header
from thresher.models.shards import is_first_file, model_name, shards_of


def outline(reference: str, *, offline: bool | None = None) -> ModelOutline:
    """The outline of the model that ``reference`` names.

    Raises:
        ModelNotFoundError: nothing is there; the message names what is.
        ModelDownloadError: a server cannot be reached or does not serve byte ranges.
        ModelFormatError: a file is damaged, lacks what a plan needs, or is of a family whose sizes are not known.
        ModelError: the address of a server, which holds its model itself.
    """
    reference = reference.strip()
    if re.match(r"^https?://", reference, re.IGNORECASE):
        return _at_address(reference)
    path = Path(reference).expanduser()
    if path.suffix.lower() == ".safetensors" and path.is_file():
        path = path.parent
    if path.is_dir() and is_checkpoint(path) and not any(is_first_file(entry.name) for entry in path.iterdir()):
        return outline_of_folder(path, reference)
    hub_reference = HUB_REFERENCE.match(reference)
    if hub_reference and not path.exists() and path.suffix.lower() != ".gguf":
        from thresher.models.hub_outline import outline_on_hub  # only here: the hub's library takes long to import

        return outline_on_hub(hub_reference["repo"], hub_reference["quantization"], reference, offline=offline)
    return outline_of_files(resolve(reference))


def outline_of_files(files: ModelFiles) -> ModelOutline:
    """The outline of a model whose files are here."""
    if files.is_checkpoint:
        return outline_of_folder(files.path, files.reference, files.name)
    return outline_of_gguf(files.reference, files.name, [read_header(path) for path in files.shards], "GGUF header")


def outline_of_model(model: Model) -> ModelOutline:
    """The outline of an opened model; nothing is read again."""
    files = model.files
    if model.checkpoint is None:
        return outline_of_gguf(files.reference, files.name, model.headers, "GGUF header")
    return outline_of_checkpoint(
        files.reference, files.name, model.checkpoint.config, model.checkpoint.headers,
        "config.json and safetensors headers", lambda: model.tokenizer,
    )  # fmt: skip


def outline_of_folder(folder: Path, reference: str, name: str | None = None) -> ModelOutline:
    """The outline of the checkpoint in ``folder``, of which the ``config.json`` is enough."""
    check_has_config(folder, (folder / CONFIG).is_file())
    has_weights = any(folder.glob("*.safetensors*"))
    headers = [read_safetensors_header(path) for path in checkpoint_shards(folder)] if has_weights else []
    return outline_of_checkpoint(
        reference,
        name or folder.resolve().name,
        read_config_file(folder / CONFIG),
        headers,
        "config.json and safetensors headers" if headers else "config.json",
        tokenizer_in(folder),
    )


def _at_address(address: str) -> ModelOutline:
    from thresher.models.remote import RemoteFile

    path = Path(unquote(urlsplit(address).path))
    if path.suffix.lower() != ".gguf":
        raise ModelError(
            f"{address}: the address of a server, which holds its model in its own memory; a plan needs the model: "
            "give a .gguf file or its address, a folder, or a hub name such as owner/repo:Q4_K_M"
        )
    if not is_first_file(path.name):
        raise ModelFormatError(f"{address}: not the first file of a model; give the address of the first shard")
    headers = [
        parse_header(RemoteFile(shard.name, address.replace(path.name, shard.name), authenticate=False))
        for shard in shards_of(path)
    ]
    return outline_of_gguf(address, model_name(path.name), headers, "GGUF header, by byte ranges")
