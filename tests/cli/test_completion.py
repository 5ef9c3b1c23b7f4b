"""Completion, asked as the shells ask it."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.test_docs import run_in

#: How a shell asks: the variables it sets for words of which the last is unfinished.
_ASK = {
    "bash": lambda words: {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


def complete(shell: str, *words: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("_THRESHER_COMPLETE", f"complete_{shell}")
    for name, value in _ASK[shell](["thresher", *words]).items():
        monkeypatch.setenv(name, value)
    return run_in(tmp_path, ["thresher"]).stdout  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_flags_engines_and_policies_are_completed(
    shell: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*words: str) -> str:
        return complete(shell, *words, tmp_path=tmp_path, monkeypatch=monkeypatch)

    assert "classify" in asked("cl")
    assert "status" not in asked("cl")
    assert "--no-store-text" in asked("classify", "--no")
    engines = asked("classify", "--engine", "f")
    assert "fake" in engines
    assert "llamacpp" not in engines
    assert "windows" in asked("classify", "--long", "w")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_to_install_is_valid(shell: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_THRESHER_COMPLETE", f"source_{shell}")
    script = run_in(tmp_path, ["thresher"]).stdout  # type: ignore[arg-type]
    assert "thresher" in script
    if shutil.which(shell) is None:
        return  # its grammar can only be checked by itself
    flag = "--no-execute" if shell == "fish" else "-n"
    checked = subprocess.run([shell, flag], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_asking_imports_no_engine(tmp_path: object) -> None:
    program = (
        "import sys; from thresher.cli.classify import _complete_engine; print(_complete_engine('ll'));"
        "heavy = ('xllamacpp', 'torch', 'httpx2', 'thresher.engines.llamacpp.library');"
        "print([name for name in sys.modules if name in heavy])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["['llamacpp', 'llama-server']", "[]"]
