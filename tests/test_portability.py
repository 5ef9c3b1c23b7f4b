"""What Thresher does on systems that lack what Linux has, simulated by taking it away."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
from packaging.requirements import Requirement

import thresher
from tests.conftest import PROJECT
from tests.support import hostile_worker
from thresher.documents import ReaderPool
from thresher.documents.files import open_regular, read_bytes
from thresher.documents.reading import pipes
from thresher.errors import UnreadableError, UsageError
from thresher.jobs import JobStore, JobView, export
from thresher.pipeline import options

#: What Windows lacks, taken away from a process before it starts (but for libraries that ask on which system they are).
WITHOUT_POSIX = """
import filelock, os, psutil, signal, subprocess, sys, tempfile
for name in ("alarm", "SIGALRM"):
    delattr(signal, name)
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "fork", "register_at_fork"):
    delattr(os, name)
sys.modules["resource"] = sys.modules["fcntl"] = None
sys.platform = "win32"
"""
#: The lock file's library needs them on the system that it really is on.
FLAGS = '"O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", '


@pytest.fixture
def without_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")


@pytest.fixture
def windows_like_worker() -> list[str]:
    program = f"{WITHOUT_POSIX}\nimport runpy; runpy.run_path({hostile_worker.__file__!r}, run_name='__main__')"
    return [sys.executable, "-c", program]


def test_the_pool_reads_and_survives_accidents_without_posix(
    without_poll: None, windows_like_worker: list[str], tmp_path: Path
) -> None:
    orders = ["echo", "exit 3", "large 3000000", "segfault", "sleep 60", "raise x", *["echo"] * 200, "echo"]
    for number, order in enumerate(orders):
        (tmp_path / f"{number:03}.txt").write_text(order)
    with ReaderPool(2, timeout_s=3, command=windows_like_worker) as pool:
        futures = [pool.submit(path) for path in sorted(tmp_path.iterdir())]
        results = [future.result(timeout=60) for future in futures]
    reasons = [result.failure.reason if result.failure else None for result in results]
    assert "exit code 3" in str(reasons[1])
    assert results[2].text == "é" * 3_000_000
    assert "while reading it" in str(reasons[3])
    assert "longer than 3 s" in str(reasons[4])
    assert "KeyError" in str(reasons[5])
    assert reasons[0] is None
    assert all(reason is None for reason in reasons[6:])


def test_a_run_without_posix(tmp_path: Path, model: str) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"document {number}")
    program = (
        f"{WITHOUT_POSIX.replace(FLAGS, '')}\nimport select; del select.poll; sys.platform = 'linux'\n"
        "from thresher.cli import main; main(sys.argv[1:])"
    )
    flags = ["classify", ".", "--labels", "a,b", "--model", model, "--engine", "fake", "--json", "--job", "job"]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labelled"] == 20


def test_threaded_pipes_give_everything_then_the_end(without_poll: None) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    both = pipes.open_pipes(process.stdin, process.stdout)
    assert isinstance(both, pipes.ThreadedPipes)
    sent = bytes(range(256)) * 40_000  # more than pipes hold
    both.send(sent)
    received = b""
    while len(received) < len(sent) - 65_536:  # the copier keeps the last piece in its buffer
        received += both.receive(_soon())
    assert sent.startswith(received)
    with pytest.raises(TimeoutError):
        while True:
            both.receive(_soon(0.05))
    process.kill()
    process.wait()
    assert both.receive(_soon()) == b""
    assert both.receive(_soon()) == b""
    both.close()


def _soon(seconds: float = 20.0) -> float:
    return time.monotonic() + seconds


def test_links_are_not_followed_where_the_system_has_no_flag_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):
        monkeypatch.delattr(os, name)
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_bytes(tmp_path / "file", 100) == b"text"
    with pytest.raises(UnreadableError, match="cannot be opened"):
        open_regular(tmp_path / "link")


@pytest.mark.parametrize("error", [OSError("no links here"), AttributeError("link")])
def test_exports_work_on_file_systems_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, model: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    thresher.classify(tmp_path / "in", thresher.Task(["a", "b"]), model=model, engine="fake", job=tmp_path / "job")
    monkeypatch.setattr(os, "link", refuse)
    with JobView.open(tmp_path / "job") as view:
        assert export(view, tmp_path / "o.csv") == 1
        with pytest.raises(UsageError, match="exists already"):
            export(view, tmp_path / "o.csv")
    assert "a.txt" in (tmp_path / "o.csv").read_text()
    assert not list(tmp_path.glob(".o.csv*"))


def test_names_of_job_folders_are_legal_on_windows() -> None:
    for name in ('a/b\\c:d*e?"f<g>|h', "con", "trailing. ", "名前", "a\x01b"):
        folder = options.default_job_folder(["in"], name, "fingerprint")
        assert not re.search(r'[<>:"|?*\x00-\x1f]', str(folder).replace("/", ""))
        path = PureWindowsPath(*folder.parts)
        assert len(path.parts) == 2
        assert not path.name.endswith((".", " "))
        assert path.stem.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL"}


def test_a_job_is_written_where_modes_and_mounts_tell_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.jobs.location.psutil.disk_partitions", lambda all: [])
    JobStore.open(tmp_path / "job").close()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_worker_limits_itself_as_far_as_its_system_can(platform: str) -> None:
    program = (
        ("" if platform == "darwin" else WITHOUT_POSIX)
        + f"\nimport sys; sys.platform = {platform!r}\n"
        + "from thresher.documents.reading.self_limits import *\n"
        + "limit_memory(1); set_alarm(1); set_alarm(0); print(len(bytearray(50_000_000)), peak_bytes() >= 0)\n"
        + "end_with(0 if sys.platform == 'win32' else __import__('os').getppid()); print('goes on')\n"
        + "end_with(0); print('only on Windows')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = ["50000000 True", "goes on", *(["only on Windows"] if platform == "win32" else [])]
    assert done.stdout.splitlines()[: len(expected)] == expected, done.stderr


def test_a_template_is_rendered_where_memory_cannot_be_limited() -> None:
    program = (
        "import resource, sys\n"
        "real = resource.setrlimit\n"
        "def refuse(kind, limits):\n"
        "    if kind == resource.RLIMIT_AS: raise ValueError('current limit exceeds maximum limit')\n"
        "    real(kind, limits)\n"
        "resource.setrlimit = refuse\n"
        "from thresher.models.template_worker import main; main()"
    )
    request = json.dumps({"template": "hello {{ x }}", "renders": [{"x": "you"}]})
    done = subprocess.run([sys.executable, "-c", program], input=request, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"text": "hello you"}]


def base_install() -> set[str]:
    """The distributions that ``pip install thresher`` brings, extras left out."""
    found: set[str] = set()
    waiting = ["thresher"]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.fixture
def base_only() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``thresher`` in a Python that finds the base install's modules only."""
    base = base_install()
    extra = sorted(
        module
        for module, names in importlib.metadata.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & base
    )
    assert {"sklearn", "pandas", "pyarrow", "pytest"} <= set(extra)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({extra!r})); from thresher.cli import main; main(sys.argv[1:])"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *arguments],
            cwd=PROJECT / "examples", capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize("engine", ["fake", "llamacpp"])
def test_the_base_install_labels_documents(
    base_only: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, engine: str, model: str
) -> None:
    done = base_only(
        "classify", "documents", "--task", "task.yaml", "--model", model, "--engine", engine, "--limit", "5",
        "--job", str(tmp_path / "job"), "--out", str(tmp_path / "rows.csv"), "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labelled"] == 5


def test_the_base_install_says_what_is_missing(
    base_only: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, model: str
) -> None:
    assert "classify" in base_only("--help").stdout
    refused = base_only(
        "classify", "documents", "--labels", "a,b", "--model", model, "--engine", "fake", "--limit", "1",
        "--job", str(tmp_path / "job"), "--out", str(tmp_path / "rows.parquet"),
    )  # fmt: skip
    assert "pip install 'thresher[parquet]'" in refused.stderr
