"""The command line, called as a user calls it but inside this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from thresher import cli


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Thresher = Callable[..., Outcome]


@pytest.fixture
def thresher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Thresher:
    """Runs ``thresher`` with the arguments given, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def classify(thresher: Thresher, model: str) -> Thresher:
    """Runs ``thresher classify`` with three labels, the fake engine and the job ``job``."""

    def call(*arguments: str | Path, labels: str = "invoice,contract,other") -> Outcome:
        chosen = () if "--task" in arguments else ("--labels", labels)
        job = () if "--job" in arguments else ("--job", "job")
        return thresher("classify", *arguments, *chosen, *job, "--model", model, "--engine", "fake", "--json")

    return call
