"""What a user calls a model, and the files that it leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.errors import ModelError, ModelNotFoundError
from thresher.models.reference import resolve

SHARDS = [f"Big-Q8_0-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"GGUF")


def test_the_demo_model_is_shipped() -> None:
    files = resolve("demo")
    assert (files.name, files.path.name, files.shards) == ("demo", "demo.gguf", (files.path,))
    assert files.path.read_bytes()[:4] == b"GGUF"


def test_a_missing_demo_model_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    with pytest.raises(ModelNotFoundError, match="install thresher anew"):
        resolve("demo")


def test_a_file(tmp_path: Path) -> None:
    touch(tmp_path, "Tiny-Q8_0.gguf")
    files = resolve(str(tmp_path / "Tiny-Q8_0.gguf"))
    assert (files.name, files.shards) == ("Tiny-Q8_0", (tmp_path / "Tiny-Q8_0.gguf",))


def test_a_file_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    touch(tmp_path, "m.gguf")
    assert resolve("~/m.gguf").path == tmp_path / "m.gguf"


@pytest.mark.parametrize("named", SHARDS)
def test_any_shard_leads_to_all_of_them(tmp_path: Path, named: str) -> None:
    touch(tmp_path, *SHARDS)
    files = resolve(str(tmp_path / named))
    assert files.name == "Big-Q8_0"
    assert files.path == tmp_path / SHARDS[0]
    assert [path.name for path in files.shards] == SHARDS


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    touch(tmp_path, *SHARDS[:2])
    with pytest.raises(ModelNotFoundError, match=f"1 of them are missing beside it: {SHARDS[2]}"):
        resolve(str(tmp_path / SHARDS[0]))


def test_a_folder_with_one_model(tmp_path: Path) -> None:
    touch(tmp_path, *SHARDS, "mmproj-F16.gguf", ".hidden.gguf", "README.md")
    assert resolve(str(tmp_path)).path == tmp_path / SHARDS[0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.gguf", "b.gguf"], r"holds 2 models \(a.gguf, b.gguf\)"),
        (["config.json"], "holds a config.json and no weights"),
        (["notes.txt"], r"no .gguf file and no checkpoint \(it holds notes.txt\)"),
        ([], r"no .gguf file and no checkpoint \(it holds nothing\)"),
    ],
)
def test_other_folders_say_what_is_in_them(tmp_path: Path, names: list[str], said: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(ModelNotFoundError, match=said):
        resolve(str(tmp_path))


def test_a_misspelt_file_suggests_the_nearest(tmp_path: Path) -> None:
    touch(tmp_path, "Qwen3.5-Q8_0.gguf", "other.txt")
    with pytest.raises(ModelNotFoundError, match=r"no such file; did you mean 'Qwen3.5-Q8_0.gguf'\?"):
        resolve(str(tmp_path / "Qwen3.5-Q8-0.gguf"))


def test_a_misspelt_demo_is_noticed() -> None:
    with pytest.raises(ModelNotFoundError, match=r"did you mean 'demo'\?"):
        resolve("dmeo")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080", "HTTPS://example.org/v1"])
def test_addresses_of_servers_have_no_files(address: str) -> None:
    with pytest.raises(ModelError, match="where a model's files are wanted"):
        resolve(address)
