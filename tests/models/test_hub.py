"""Models from the hub, fetched from a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.hub_server import COMMIT, HubServer
from thresher.errors import ModelDownloadError, ModelNotFoundError
from thresher.models import download as download_module
from thresher.models.files import ModelFiles
from thresher.models.hub import HubSettings, fetch

CONTENT = random.Random(1).randbytes(3_000_000)
SHARDED = {f"BF16/m-BF16-0000{number}-of-00002.gguf": CONTENT[: 1000 * number] for number in (1, 2)}
REPOSITORY = {"m-Q4_K_M.gguf": CONTENT, "m-Q8_0.gguf": CONTENT[:2000], "mmproj-F16.gguf": b"projector", **SHARDED}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({"owner/repo": REPOSITORY}) as server:
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "_PAUSE_S", 0.0)
    monkeypatch.setattr(download_module, "_CHUNK_BYTES", 100_000)


def fetched(
    hub: HubServer,
    cache: Path,
    quantization: str | None = None,
    *,
    repository: str = "owner/repo",
    offline: bool = False,
) -> ModelFiles:
    settings = HubSettings(endpoint=hub.endpoint, cache=cache)
    return fetch(repository, quantization, f"{repository}:{quantization}", offline=offline, settings=settings)


def test_a_model_is_fetched_once(hub: HubServer, tmp_path: Path) -> None:
    files = fetched(hub, tmp_path)
    assert (files.name, files.shards) == ("m-Q4_K_M", (files.path,))
    assert files.path.read_bytes() == CONTENT
    assert fetched(hub, tmp_path).path == files.path
    assert hub.downloads() == [None]
    assert not list(tmp_path.rglob("*.part"))


def test_it_lies_where_other_programs_look(hub: HubServer, tmp_path: Path) -> None:
    path = fetched(hub, tmp_path, "Q8_0").path
    folder = tmp_path / "models--owner--repo"
    assert path == folder / "snapshots" / COMMIT / "m-Q8_0.gguf"
    assert (folder / "refs" / "main").read_text() == COMMIT
    assert path.resolve().parent == folder / "blobs"


def test_all_shards_are_fetched(hub: HubServer, tmp_path: Path) -> None:
    files = fetched(hub, tmp_path, "bf16")
    assert files.name == "m-BF16"
    assert [path.read_bytes() for path in files.shards] == list(SHARDED.values())


def test_a_repository_without_one_of_its_shards_is_an_error(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories["owner/half"] = dict(list(SHARDED.items())[:1])
    with pytest.raises(ModelNotFoundError, match=r"lacks 1 of the model's shards: BF16/m-BF16-00002-of-00002.gguf"):
        fetched(hub, tmp_path, repository="owner/half")


def test_progress_is_told(hub: HubServer, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    settings = HubSettings(endpoint=hub.endpoint, cache=tmp_path)
    fetch("owner/repo", None, "r", offline=False, progress=lambda *now: told.append(now), settings=settings)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 5
    assert told == sorted(told)


def test_a_cut_connection_goes_on_where_it_ended(hub: HubServer, tmp_path: Path) -> None:
    hub.cut_after = [1_234_567, 500_000]
    assert fetched(hub, tmp_path).path.read_bytes() == CONTENT
    ranges = hub.downloads()
    assert ranges[0] is None
    assert all(wanted is not None and wanted.startswith("bytes=") for wanted in ranges[1:])
    assert len(ranges) == 3


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "_ATTEMPTS_WITHOUT_PROGRESS", 1)
    hub.cut_after = [2_000_000]
    with pytest.raises(ModelDownloadError, match=r"2,000,000 of 3,000,000 bytes are kept: run the same command again"):
        fetched(hub, tmp_path)
    assert fetched(hub, tmp_path).path.read_bytes() == CONTENT
    assert hub.downloads() == [None, "bytes=2000000-"]


def test_a_server_that_ignores_ranges_sends_it_all_again(hub: HubServer, tmp_path: Path) -> None:
    hub.cut_after, hub.ignores_ranges = [1_000_000], True
    assert fetched(hub, tmp_path).path.read_bytes() == CONTENT


def test_a_connection_that_brings_nothing_is_given_up(hub: HubServer, tmp_path: Path) -> None:
    hub.cut_after = [0] * 20
    with pytest.raises(ModelDownloadError, match="the connection broke 5 times"):
        fetched(hub, tmp_path)


def test_damage_on_the_way_is_noticed(hub: HubServer, tmp_path: Path) -> None:
    hub.spoilt = True
    with pytest.raises(ModelDownloadError, match="damaged on the way"):
        fetched(hub, tmp_path)
    hub.spoilt = False
    assert fetched(hub, tmp_path).path.read_bytes() == CONTENT


def test_the_disk_is_checked_first(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2_999_999))
    with pytest.raises(
        ModelDownloadError, match=r"3,000,000 bytes are to be downloaded and .*new.* has 2,999,999 free"
    ):
        fetched(hub, tmp_path / "new" / "cache")
    assert hub.downloads() == []


def test_what_is_already_there_needs_no_room(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetched(hub, tmp_path).path
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert fetched(hub, tmp_path).path == path


def test_a_folder_that_cannot_be_written_is_an_error(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "models--owner--repo").write_text("a file where a folder should be")
    with pytest.raises(ModelDownloadError, match=r"cannot be written"):
        fetched(hub, tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_fills_up_is_an_error(hub: HubServer, tmp_path: Path) -> None:
    blobs = tmp_path / "models--owner--repo" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(CONTENT).hexdigest()}.part").symlink_to("/dev/full")
    with pytest.raises(ModelDownloadError, match=r"the disk of .*blobs is full; .* make room and run the same command"):
        fetched(hub, tmp_path)


def test_an_unknown_repository(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"owner/nothing: no such repository at http.*hf auth login"):
        fetched(hub, tmp_path, repository="owner/nothing")


def test_a_gated_repository(hub: HubServer, tmp_path: Path) -> None:
    hub.gated = frozenset({"owner/gated"})
    with pytest.raises(ModelDownloadError, match=r"access must be granted first: ask for it at http.*/owner/gated"):
        fetched(hub, tmp_path, repository="owner/gated")


def test_a_hub_in_trouble(hub: HubServer, tmp_path: Path) -> None:
    hub.status = 418
    with pytest.raises(ModelDownloadError, match="answered with status 418"):
        fetched(hub, tmp_path)


def test_an_unknown_quantization(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no quantization 'Q9'.*available: BF16, Q4_K_M, Q8_0"):
        fetched(hub, tmp_path, "Q9")


def test_offline_uses_the_cache_alone(hub: HubServer, tmp_path: Path) -> None:
    online = fetched(hub, tmp_path, "bf16")
    asked = len(hub.requests)
    offline = fetched(hub, tmp_path, "bf16", offline=True)
    assert offline == online
    assert len(hub.requests) == asked


def test_offline_says_how_to_fetch_what_is_missing(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(
        ModelDownloadError, match=r"does not hold it; fetch it once with a network: `hf download owner/repo"
    ):
        fetched(hub, tmp_path, offline=True)
    fetched(hub, tmp_path, "Q8_0")
    with pytest.raises(ModelNotFoundError, match=r"no quantization 'Q4_K_M'.*available: Q8_0.*fetch it once"):
        fetched(hub, tmp_path, "Q4_K_M", offline=True)
    assert len(hub.downloads()) == 1


def test_a_hub_out_of_reach_falls_back_to_the_cache(tmp_path: Path) -> None:
    with HubServer({"owner/repo": REPOSITORY}) as server:
        path = fetched(server, tmp_path, "Q8_0").path
        gone = HubSettings(endpoint=server.endpoint, cache=tmp_path)
    assert fetch("owner/repo", "Q8_0", "r", offline=False, settings=gone).path == path
    with pytest.raises(ModelDownloadError, match=r"owner/other: http.*cannot be reached.*does not hold it"):
        fetch("owner/other", None, "r", offline=False, settings=gone)


RESOLVE = "import sys; from thresher.models.reference import resolve; print(resolve(sys.argv[1]).path)"


def test_the_environment_says_where_the_hub_is(hub: HubServer, tmp_path: Path) -> None:
    """As users run it: a process of its own that knows the hub by HF_ENDPOINT alone, and is quiet off a terminal."""
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", RESOLVE, "owner/repo:Q8_0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).read_bytes() == CONTENT[:2000]
    assert done.stderr == ""
    environment["HF_HUB_OFFLINE"] = "1"
    asked = len(hub.requests)
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout
    assert len(hub.requests) == asked
