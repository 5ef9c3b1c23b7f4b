"""``thresher classify --model http://...`` on a real llama-server."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Thresher
from tests.support import engine_servers
from tests.support.fault_server import Accident, Asked, Cut, FaultServer, Hang, Status, forward_to
from tests.support.prompts import make_text

KEY = "sk-never-shown-anywhere"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four short documents."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    for number in range(4):
        (inputs / f"{number}.txt").write_text(make_text(4, number))
    return inputs


def test_a_server_labels_as_its_model_does(thresher: Thresher, folder: Path, examples: Path) -> None:
    task, url = ("--task", examples / "task.yaml"), engine_servers.saving().url
    served = thresher("classify", folder, *task, "--model", url, "--job", "served", "--json")
    assert served.code == 0, served.err
    assert f"engine: llama-server (answers at {url})" in served.err
    assert (served.json["engine"], served.json["model"], served.json["precision"]) == ("llama-server", "demo", "Q8_0")
    assert served.json["cached_tokens"] > 0
    local = thresher("classify", folder, *task, "--model", "demo", "--job", "local", "--json", "--context", 8192)
    assert served.json["label_counts"] == local.json["label_counts"]
    assert served.json["prompt_tokens"] == local.json["prompt_tokens"]
    again = thresher("classify", folder, *task, "--model", url, "--job", "served", "--json")
    assert (again.code, again.json["resumed"]) == (0, 4)
    assert thresher("status", "served", "--json").code == 0


def test_a_model_whose_file_is_not_here(thresher: Thresher, folder: Path) -> None:
    url = engine_servers.plain().url
    found = thresher("classify", folder, "--labels", "cv,invoice,other", "--model", url, "--json")
    assert found.code == 0, found.err
    assert f"texts are tokenized by {url}" in found.err
    with_files = thresher(
        "classify", folder, "--labels", "cv,invoice,other", "--model", url, "--tokenizer", "demo", "--json"
    )
    assert with_files.code == 0, with_files.err
    assert "texts are tokenized by" not in with_files.err
    assert with_files.json["resumed"] == 4  # the same model, the same tokens


def test_the_servers_tokenizer_away_in_the_middle(thresher: Thresher, folder: Path) -> None:
    """Texts that cannot be tokenized are rows, too."""
    with FaultServer(forward_to(engine_servers.plain().url)) as server:
        next(folder.iterdir()).read_text()[:40]
        refused = Status(400, {"error": {"type": "invalid_request_error", "message": "no"}})
        server.accidents.append(Accident("/tokenize", refused, None, lambda asked: len(asked.body) > 300))
        found = thresher("classify", folder, "--labels", "cv,invoice,other", "--model", server.url, "--json")
    assert found.code == 3, found.err
    assert found.json["statuses"] == {"engine_error": 4}


def test_a_server_that_dies_leaves_a_row_for_each_document(
    thresher: Thresher, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THRESHER_API_KEY", KEY)
    labels = ("--labels", "cv,invoice,other", "--job", "job", "--json")

    def fatal(asked: Asked) -> bool:
        return asked.method == "POST" and len(asked.json().get("prompt", ())) > 100

    with FaultServer(forward_to(engine_servers.saving().url)) as server:
        server.accidents.append(Accident("/completion", Cut(0), None, fatal))
        found = thresher("classify", folder, *labels, "--model", server.url)
        assert found.code == 3, found.err
        assert found.json["statuses"] == {"engine_error": 4}
        server.accidents.clear()
        retried = thresher("classify", folder, *labels, "--model", server.url, "--retry-failed")
        assert (retried.code, retried.json["statuses"]) == (0, {"ok": 4}), retried.err
    assert KEY not in found.out + found.err + retried.err
    for database in Path("job").rglob("*"):
        assert not database.is_file() or KEY.encode() not in database.read_bytes()
    with sqlite3.connect(next(Path("job").glob("*.sqlite*"))) as connection:
        assert connection.execute("select count(*) from sqlite_master").fetchone()[0] > 0


def test_a_document_that_takes_longer_than_the_deadline(thresher: Thresher, folder: Path) -> None:
    with FaultServer(forward_to(engine_servers.saving().url)) as server:
        server.accidents.append(Accident("/completion", Hang(), None, lambda asked: len(asked.json()["prompt"]) > 100))
        found = thresher(
            "classify", folder, "--labels", "cv,invoice", "--model", server.url, "--deadline", 1, "--limit", 1, "--json"
        )
    assert found.code == 3, found.err
    assert found.json["statuses"] == {"engine_error": 1}


def test_usage(thresher: Thresher, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, labels = engine_servers.saving().url, ("--labels", "a,b")
    for arguments, message in {
        ("--model", url, "--engine", "native"): "native reads a model's files, and",
        ("--model", url, "--precision", "fp8"): "--precision: a running server decides that itself",
        ("--model", url, "--context", "9000"): "has a context of 8,192 tokens for each request",
        ("--model", url, "--deadline", "0"): "--deadline is 0",
        ("--model", url, "--model", "demo"): "several models must all be addresses",
        ("--model", "demo", "--tokenizer", "demo"): "a model in files brings its own",
        ("--model", "http://user:secret@127.0.0.1"): "set THRESHER_API_KEY instead",
    }.items():
        found = thresher("classify", folder, *labels, *arguments)
        assert found.code == 2, found.err
        assert message in found.err
        assert "secret" not in found.err
    monkeypatch.setenv("THRESHER_MODEL", "http://127.0.0.1:9 http://127.0.0.1:9")
    assert "is given twice" in thresher("classify", folder, *labels).err
    monkeypatch.setenv("THRESHER_MODEL", "no such file.gguf")
    assert "no such file.gguf: no such file" in thresher("classify", folder, *labels).err
