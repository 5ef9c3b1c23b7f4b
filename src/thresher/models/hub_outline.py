"""The outline of a model on the hub, from headers read by byte ranges; what is in the cache is read there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huggingface_hub import constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import OfflineModeIsEnabled

from thresher.errors import ModelDownloadError
from thresher.models.checkpoint import CONFIG, TOKENIZER
from thresher.models.config_file import parse_config
from thresher.models.download import HTTP_ERROR
from thresher.models.gguf_file import parse_header
from thresher.models.hub import HubSettings, Listing, fetch, list_repository, unreachable
from thresher.models.outline import ModelOutline, check_has_config, outline_of_checkpoint, outline_of_gguf, tokenizer_in
from thresher.models.quantizations import RepositoryModel, choose
from thresher.models.remote import RemoteFile
from thresher.models.safetensors_file import parse_safetensors_header
from thresher.models.shards import is_first_file, model_name
from thresher.models.tokenizer import Tokenizer


def outline_on_hub(
    repository: str,
    quantization: str | None,
    reference: str,
    *,
    offline: bool | None = None,
    settings: HubSettings | None = None,
) -> ModelOutline:
    """The outline of one model of ``repository``.

    Raises:
        ModelNotFoundError: no such repository or quantization, or, offline, not in the cache.
        ModelDownloadError: access refused, or the hub is out of reach or serves no byte ranges.
        ModelFormatError: a file is damaged or lacks what a plan needs.
    """
    settings = settings or HubSettings()
    try:
        if constants.HF_HUB_OFFLINE if offline is None else offline:
            raise OfflineModeIsEnabled
        listing = list_repository(repository, settings)
    except (HTTP_ERROR, OfflineModeIsEnabled):
        from thresher.models.outlining import outline_of_files

        return outline_of_files(fetch(repository, quantization, reference, offline=True, settings=settings))
    model = _chosen(repository, listing, quantization)

    def remote(path: str) -> RemoteFile:
        url = hf_hub_url(repository, path, revision=listing.commit, endpoint=settings.endpoint)
        return RemoteFile(f"{repository}/{path}", url, authenticate=True)

    if is_first_file(Path(model.files[0]).name):
        headers = [parse_header(remote(path)) for path in model.files]
        name = model_name(Path(model.files[0]).name)
        return outline_of_gguf(reference, name, headers, "GGUF header, by byte ranges")
    check_has_config(Path(repository), CONFIG in listing.files)
    config = remote(CONFIG)
    weights = [path for path in model.files if path.endswith(".safetensors")]
    return outline_of_checkpoint(
        reference,
        repository.split("/")[-1],
        parse_config(config.name, config.read(0, config.size_bytes)),
        [parse_safetensors_header(remote(path), Path(path)) for path in weights],
        "config.json and safetensors headers, by byte ranges" if weights else "config.json",
        _tokenizer(repository, listing, settings),
    )


def _chosen(repository: str, listing: Listing, quantization: str | None) -> RepositoryModel:
    """The model meant; a repository with nothing but a ``config.json`` is one, too."""
    if quantization is None and CONFIG in listing.files and not any(map(_holds_weights, listing.files)):
        return RepositoryModel((CONFIG,), "checkpoint", "config.json")
    return choose(repository, list(listing.files), quantization)


def _holds_weights(path: str) -> bool:
    return path.endswith((".safetensors", ".gguf"))


def _tokenizer(repository: str, listing: Listing, settings: HubSettings) -> Callable[[], Tokenizer | None]:
    """Fetches ``tokenizer.json`` into the hub's cache when called."""

    def load() -> Tokenizer | None:
        if TOKENIZER not in listing.files:
            return None
        try:
            path = hf_hub_download(
                repository, TOKENIZER, revision=listing.commit, endpoint=settings.endpoint,
                cache_dir=settings.cache_folder,
            )  # fmt: skip
        except (HTTP_ERROR, OSError) as error:
            raise ModelDownloadError(f"{repository}: {unreachable(settings, error)}") from error
        return tokenizer_in(Path(path).parent)()

    return load
