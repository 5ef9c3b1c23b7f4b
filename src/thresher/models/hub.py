"""Models on the hub: which files, whether they fit the disk, and where they lie afterwards.

The files go to the hub library's own cache (``HF_HOME``), so that other programs find them and what they fetched is
found here. The library gives metadata, addresses and authentication; the bytes are fetched by
:mod:`~thresher.models.download`, because the library's own download begins anew after an interruption.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from thresher.errors import ModelDownloadError, ModelNotFoundError
from thresher.models.download import HTTP_ERROR, Download, download
from thresher.models.files import ModelFiles, Progress, checkpoint_files
from thresher.models.quantizations import RepositoryModel, choose
from thresher.models.shards import is_first_file, model_name

_REVISION = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Where the hub is and where its files are kept. None: as the environment says (``HF_ENDPOINT``, ``HF_HOME``)."""

    endpoint: str | None = None
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """The folder of the hub library's cache."""
        return self.cache or Path(constants.HF_HUB_CACHE)

    @property
    def address(self) -> str:
        """The hub's address for messages."""
        return self.endpoint or constants.ENDPOINT


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit: path -> (bytes, SHA-256 or None)."""

    commit: str
    files: dict[str, tuple[int, str | None]]


def fetch(
    repository: str,
    quantization: str | None,
    reference: str,
    *,
    offline: bool | None = None,
    progress: Progress | None = None,
    settings: HubSettings | None = None,
) -> ModelFiles:
    """The files of one model of ``repository``, downloaded where they are not cached yet.

    Without a network, or with ``offline`` true, the cache alone is used.

    Raises:
        ModelNotFoundError: no such repository or quantization, or, offline, not in the cache.
        ModelDownloadError: access refused, hub out of reach, disk too small, or damaged on the way.
    """
    settings = settings or HubSettings()
    if constants.HF_HUB_OFFLINE if offline is None else offline:
        return _from_cache(repository, quantization, reference, settings, "the network is not to be used")
    try:
        listing = list_repository(repository, settings)
    except (HTTP_ERROR, OfflineModeIsEnabled) as error:
        return _from_cache(repository, quantization, reference, settings, unreachable(settings, error))
    model = choose(repository, list(listing.files), quantization)
    _fetch_missing(repository, model, listing, settings, progress)
    try:
        paths = [_linked(repository, path, settings) for path in model.files]
    except (HTTP_ERROR, OSError) as error:
        raise ModelDownloadError(f"{repository}: {unreachable(settings, error)}") from error
    return _model_files(repository, reference, paths)


def list_repository(repository: str, settings: HubSettings) -> Listing:
    """Every file of ``repository``, by one request.

    Raises:
        ModelNotFoundError: there is no such repository.
        ModelDownloadError: access is refused, or the hub answers with an error. When it cannot be reached, the error of
            the HTTP library goes through.
    """
    try:
        info = HfApi(endpoint=settings.endpoint).model_info(repository, files_metadata=True, timeout=20)
    except GatedRepoError as error:
        raise ModelDownloadError(
            f"{repository}: access must be granted first: ask for it at {settings.address}/{repository}, "
            "then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"{repository}: no such repository at {settings.address}, or it is private; "
            "check the spelling, and for a private one log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except HfHubHTTPError as error:
        raise ModelDownloadError(
            f"{repository}: {settings.address} answered with status {error.response.status_code}; try again later"
        ) from error
    siblings = info.siblings or []
    files = {file.rfilename: (file.size or 0, file.lfs.sha256 if file.lfs else None) for file in siblings}
    return Listing(info.sha or _REVISION, files)


def _fetch_missing(
    repository: str, model: RepositoryModel, listing: Listing, settings: HubSettings, progress: Progress | None
) -> None:
    absent = [path for path in model.files if path not in listing.files]
    if absent:
        raise ModelNotFoundError(f"{repository}: the repository lacks {len(absent)} of the model's shards: {absent[0]}")
    blobs = settings.cache_folder / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    downloads = [
        Download(
            url=hf_hub_url(repository, path, revision=listing.commit, endpoint=settings.endpoint),
            target=blobs / sha256,
            size_bytes=size,
            sha256=sha256,
        )
        for path in model.files
        for size, sha256 in [listing.files[path]]
        if sha256 is not None and _cached(repository, path, listing.commit, settings) is None
    ]
    pending = [item for item in downloads if not item.target.exists()]
    _check_disk(repository, sum(item.missing_bytes() for item in pending), settings.cache_folder)
    for item in pending:
        download(repository, item, progress)


def _check_disk(repository: str, needed: int, folder: Path) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise ModelDownloadError(
            f"{repository}: {needed:,} bytes are to be downloaded and {folder} has {free:,} free; "
            "make room, or set HF_HOME to a folder on a larger disk"
        )


def _linked(repository: str, path: str, settings: HubSettings) -> Path:
    """Where the cache has ``path``; links a downloaded blob under its name, and fetches a file that is no blob."""
    return Path(
        hf_hub_download(
            repository, path, revision=_REVISION, endpoint=settings.endpoint, cache_dir=settings.cache_folder
        )
    )


def _cached(repository: str, path: str, revision: str, settings: HubSettings) -> Path | None:
    found = try_to_load_from_cache(repository, path, cache_dir=settings.cache_folder, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _from_cache(
    repository: str, quantization: str | None, reference: str, settings: HubSettings, reason: str
) -> ModelFiles:
    """The model as the cache has it; ``reason`` says why the hub was not asked."""
    folder = settings.cache_folder / repo_folder_name(repo_id=repository, repo_type="model")
    commit_file = folder / "refs" / _REVISION
    snapshot = folder / "snapshots" / (commit_file.read_text().strip() if commit_file.is_file() else "none")
    cached = [str(path.relative_to(snapshot).as_posix()) for path in snapshot.rglob("*") if path.is_file()]
    remedy = f"fetch it once with a network: `hf download {repository}`, or run this command online"
    if not cached:
        raise ModelDownloadError(f"{repository}: {reason}, and {settings.cache_folder} does not hold it; {remedy}")
    try:
        model = choose(repository, cached, quantization)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(f"{error} [in {settings.cache_folder}, as {reason}; {remedy}]") from error
    missing = [path for path in model.files if path not in cached]
    if missing:
        raise ModelDownloadError(f"{repository}: {reason}, and the cache lacks the shard {missing[0]}; {remedy}")
    return _model_files(repository, reference, [snapshot / path for path in model.files])


def _model_files(repository: str, reference: str, paths: Sequence[Path]) -> ModelFiles:
    first = paths[0]
    if not is_first_file(first.name):
        return checkpoint_files(first.parent, reference, repository.split("/")[-1])
    return ModelFiles(reference=reference, name=model_name(first.name), path=first, shards=tuple(paths))


def unreachable(settings: HubSettings, error: Exception) -> str:
    """Why the hub was not asked, for messages."""
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE forbids the network"
    return f"{settings.address} cannot be reached ({error})"
