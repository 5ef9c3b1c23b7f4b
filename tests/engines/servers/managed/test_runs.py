"""Whole runs over a real server that Thresher starts: llama.cpp's, out of the xllamacpp wheel, with the demo model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import engine_models
from tests.support.programs import write_llama_server
from thresher.answers import AnswerTrie
from thresher.engines.base import EngineOptions
from thresher.engines.servers.managed.opening import open_managed
from thresher.engines.servers.managed.supervisor import Vigilance
from thresher.errors import EngineError
from thresher.jobs import JobView
from thresher.types import Prediction, Prompt, QuestionPrompt, Request

DOCUMENTS = 24
DEADLY = "Handle with care: the zebra crossing quivers under seventeen violet umbrellas at dawn."


@dataclass(frozen=True)
class Setting:
    """A folder with documents, and a program that is taken for llama-server."""

    folder: Path
    environment: dict[str, str]

    @property
    def job(self) -> Path:
        return self.folder / "job"

    @property
    def log(self) -> str:
        path = self.job / "logs" / "llama-server.log"
        return path.read_text() if path.exists() else ""

    def starts(self) -> list[int]:
        """Process ids of the servers started so far."""
        path = Path(self.environment["TEST_SERVER_STARTS"])
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def start(self, *flags: str) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "thresher", "classify", "in", "--labels", "invoice,contract,other", "--model", "demo",
            "--engine", "llama-server", "--context", "1024", "--job", "job", "--json", *flags,
        ]  # fmt: skip
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background shells ignore it
        )  # fmt: skip

    def rows(self) -> list[Prediction]:
        with JobView.open(self.job) as view:
            return list(view.rows())


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    (tmp_path / "in").mkdir()
    for number in range(DOCUMENTS):
        text = f"Invoice {number}. Please pay {number * 7} euros for the goods delivered in May. " * 3
        (tmp_path / "in" / f"{number:02}.txt").write_text(text)
    program = write_llama_server(tmp_path / "programs")
    return Setting(
        tmp_path,
        {**os.environ, "THRESHER_LLAMA_SERVER": str(program), "TEST_SERVER_STARTS": str(tmp_path / "starts")},
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Exit code, what it printed, and what it said."""
    out, said = process.communicate(timeout=200)
    return process.returncode, json.loads(out) if out.strip() else {}, said


def until(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        assert process is None or process.poll() is None, finish(process)
        time.sleep(0.02)


def is_reading(setting: Setting) -> bool:
    """Whether the latest server has answered some requests."""
    return setting.log.rpartition("=== ")[2].count("release:") >= 4


def gone(pids: Sequence[int]) -> bool:
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=30)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_a_run_starts_its_server_and_stops_it(setting: Setting) -> None:
    code, summary, said = finish(setting.start())
    assert code == 0, said
    assert summary["statuses"] == {"ok": DOCUMENTS}
    assert summary["engine"] == "llama-server"
    assert summary["context"] == 1024
    assert "llama-server 11549 is started on the CPU" in said
    assert "has no option" not in said
    assert "llama-server is ready after" in said
    assert "listening on" in setting.log
    assert not (setting.job / "slots").exists()
    assert len(setting.starts()) == 1
    assert gone(setting.starts())


def test_kill_9_of_the_server_costs_no_document(setting: Setting) -> None:
    process = setting.start()
    until(lambda: is_reading(setting), process)
    os.kill(setting.starts()[-1], signal.SIGKILL)
    code, summary, said = finish(process)
    assert code == 0, said
    assert summary["statuses"] == {"ok": DOCUMENTS}
    assert "llama-server died (killed by SIGKILL); it is started again in 1 s" in said
    assert len(setting.starts()) == 2
    assert gone(setting.starts())


def test_kill_9_of_thresher_ends_the_server_too(setting: Setting) -> None:
    process = setting.start()
    until(lambda: is_reading(setting), process)
    process.kill()
    process.communicate()
    assert gone(setting.starts())
    code, summary, said = finish(setting.start())
    assert code == 0, said
    assert summary["statuses"] == {"ok": DOCUMENTS}


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm"])
def test_an_interrupted_run_stores_its_batch_and_stops_the_server(setting: Setting, how: str) -> None:
    process = setting.start()
    until(lambda: is_reading(setting), process)
    if how == "ctrl-c":  # as a terminal does: to the whole group
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    code, summary, said = finish(process)
    assert code == 130, said
    assert summary["interrupted"]
    assert 0 < summary["labelled"] <= DOCUMENTS
    assert len(setting.starts()) == 1
    assert gone(setting.starts())


def test_ctrl_c_while_the_server_starts_stops_it(setting: Setting) -> None:
    setting.environment["TEST_SERVER_DELAY_S"] = "600"
    process = setting.start()
    until(setting.starts, process)
    os.killpg(process.pid, signal.SIGINT)
    code, _, said = finish(process)
    assert code == 130, said
    assert gone(setting.starts())


def test_the_document_that_kills_the_server_is_isolated(setting: Setting) -> None:
    tokenizer = engine_models.shipped().tokenizer
    assert tokenizer is not None
    text = DEADLY + " Its owner is not at home." * 30  # the longest document, which is read among the first
    (setting.folder / "in" / "deadly.txt").write_text(text)
    setting.environment["TEST_SERVER_ABORT_ON"] = json.dumps(list(tokenizer.encode(text))[3:12])
    code, summary, said = finish(setting.start())
    assert code == 3, said
    assert summary["statuses"] == {"ok": DOCUMENTS, "engine_error": 1}
    failed = [row for row in setting.rows() if row.status == "engine_error"]
    assert [row.document_id for row in failed] == ["deadly.txt"]
    assert "went away 2 times while it read this document" in str(failed[0].error)
    assert said.count("llama-server died (killed by SIGABRT)") == 2
    assert len(setting.starts()) == 3
    assert "that document" in setting.log


def test_a_server_that_ends_at_once_ends_the_run_with_its_words(setting: Setting) -> None:
    program = Path(setting.environment["THRESHER_LLAMA_SERVER"])
    program.write_text(program.read_text().replace("    import xllamacpp\n", "    sys.exit('error: bad magic')\n", 1))
    code, _, said = finish(setting.start())
    assert code == 1
    assert "llama-server did not start (exit code 1)" in said
    assert "error: bad magic" in said
    assert "error: bad magic" in setting.log


def test_a_program_that_is_missing_is_named_with_the_remedy(setting: Setting) -> None:
    del setting.environment["THRESHER_LLAMA_SERVER"]
    setting.environment["PATH"] = str(setting.folder)
    code, _, said = finish(setting.start())
    assert code == 1
    assert "there is no llama-server on the PATH" in said
    assert "THRESHER_LLAMA_SERVER" in said


def test_print_command_starts_nothing(setting: Setting) -> None:
    process = setting.start("--print-command")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert " --ctx-size 1024 " in out
    assert setting.environment["THRESHER_LLAMA_SERVER"] in out
    assert setting.starts() == []
    assert not setting.job.exists()


def test_print_command_is_for_servers_only(setting: Setting) -> None:
    process = setting.start("--print-command", "--engine", "llamacpp")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the engine llamacpp starts no server" in said


def test_a_crash_loop_ends_the_run(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request kills the server: not one document at a time, but the end with the log."""
    model = engine_models.shipped()
    tokenizer = model.tokenizer
    assert tokenizer is not None
    prefix = tuple(tokenizer.encode("Read this and say what it is: "))
    trie = AnswerTrie(["a", "b"], [tokenizer.encode("a"), tokenizer.encode("b")])
    question = QuestionPrompt(name="q", suffix_tokens=tuple(tokenizer.encode("\nAnswer: ")), trie=trie)
    prompt = Prompt(prefix_tokens=prefix, questions=(question,))
    requests = [Request(request_id=n, prompt=prompt, document_tokens=tokenizer.encode(f"text {n}")) for n in range(6)]
    for name in ("THRESHER_LLAMA_SERVER", "TEST_SERVER_STARTS"):
        monkeypatch.setenv(name, setting.environment[name])
    monkeypatch.setenv("TEST_SERVER_ABORT_ON", json.dumps(list(prefix)))
    vigilance = Vigilance(most_crashes=2, first_delay_s=0.05)
    options = EngineOptions(context_tokens=512, job_folder=tmp_path)
    engine = open_managed("llama-server", model, options, vigilance=vigilance)
    with engine, pytest.raises(EngineError, match=r"(?s)died 3 times without answering.*that document"):
        list(engine.score(requests))
    engine.close()
    assert gone(setting.starts())
