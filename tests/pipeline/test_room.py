"""Too little disk and too few file handles are said before the run starts, with the remedy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import thresher
from tests.conftest import MODEL
from tests.jobs.test_store import FACTS
from thresher.errors import DiskFullError
from thresher.jobs import Commit, DocumentRead, JobStore, ListedDocument, Result
from thresher.pipeline.room import check_room

TASK = thresher.Task(["a", "b"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted as root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def listed(name: str, size_bytes: int) -> ListedDocument:
    return ListedDocument(document_id=name, source=f"/in/{name}", size_bytes=size_bytes, mtime_ns=1)


def test_a_disk_too_small_for_the_texts(small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "large.txt").write_text("many words " * 2_000_000)
    with pytest.raises(DiskFullError, match=r"will need about 6\.\d MiB and [34]\.\d MiB are free.*--no-store-text"):
        thresher.classify(tmp_path / "in", TASK, model=MODEL, engine="fake", job=small_disk / "job")


def test_what_is_counted(small_disk: Path) -> None:
    with JobStore.open(small_disk / "job") as store:
        store.begin_run(FACTS)
        with store.listing() as add:
            add([listed("scan.pdf", 400_000_000), listed("notes.txt", 1_000_000)])
        check_room(store, 1, store_text=True)  # the size of a PDF says nothing of its text
        with store.listing() as add:
            add([listed("scan.pdf", 400_000_000), listed("notes.txt", 30_000_000)])
        with pytest.raises(DiskFullError):
            check_room(store, 1, store_text=True)
        check_room(store, 1, store_text=False)
        result = Result(content_sha256="ab" * 32, question="kind", status="ok", label="a", document_tokens=1)
        store.commit(
            Commit(reads=(DocumentRead(document_id="notes.txt", content_sha256="ab" * 32),), results=(result,))
        )
        check_room(store, 1, store_text=True)  # what is done needs no more


def test_a_disk_too_small_for_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.pipeline.room.shutil.disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DiskFullError, match="free some space, choose a --job on a larger disk") as caught:
        thresher.classify(tmp_path, TASK, model=MODEL, engine="fake", job=tmp_path / "job", store_text=False)
    assert "--no-store-text" not in str(caught.value)


def test_too_few_file_handles(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="there is no such limit here")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    program = (
        "import resource, sys\n"
        "from thresher.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), 4096))\n"
        "main(sys.argv[2:])\n"
    )

    def classify(limit: int) -> subprocess.CompletedProcess[str]:
        flags = ["in", "--labels", "a,b", "--model", MODEL, "--engine", "fake", "--job", "job"]
        command = [sys.executable, "-c", program, str(limit), "classify", *flags]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = classify(30)
    assert refused.returncode == 1
    assert "open files and the limit is 30; raise it with: ulimit -n" in refused.stderr
    assert classify(256).returncode == 0
