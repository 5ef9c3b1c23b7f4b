"""The examples in the documents run, and what they say of the command line is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from tests.conftest import PROJECT, SHARED_DATA
from thresher.cli import app
from thresher.tasks import load_task

PAGES = sorted([PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for number, (kind, text) in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            if kind == language:
                found.append((f"{page.name}:{number}", text))
    return found


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "examples", tmp_path / "examples")
    return tmp_path


def run_in(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def bring_data(code: str, workplace: Path) -> None:
    """Put the data sets that an example names beside it; skip where they are absent."""
    for name in re.findall(r"(?<=\")\w+\.jsonl(?=\")", code):
        found = next((SHARED_DATA / "labelled").glob(name), None)
        if found is None:
            pytest.skip(f"the data set {name} is not beside the project")
        shutil.copy(found, workplace / name)


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in blocks("python")])
def test_python_examples_run(workplace: Path, code: str) -> None:
    bring_data(code, workplace)
    result = run_in(workplace, [sys.executable, "-W", "error", "-c", code])
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("script", [pytest.param(code, id=name) for name, code in blocks("console")])
def test_console_examples_run(workplace: Path, script: str) -> None:
    commands = [line.removeprefix("$ ") for line in script.splitlines() if line.startswith("$ ")]
    assert commands
    for command in commands:
        result = run_in(workplace, ["bash", "-c", command])
        assert result.returncode in (0, 3), f"{command}\n{result.stderr}"


@pytest.mark.parametrize("text", [pytest.param(code, id=name) for name, code in blocks("yaml")])
def test_task_examples_load(tmp_path: Path, text: str) -> None:
    assert yaml.safe_load(text)
    file = tmp_path / "task.yaml"
    file.write_text(text, encoding="utf-8")
    assert len(load_task(file).questions[0].labels) >= 2


def test_there_are_examples_of_each_kind() -> None:
    assert all(blocks(language) for language in ("python", "console", "yaml"))


@pytest.mark.parametrize(
    "command",
    ["classify", "status", "export", "evaluate", "review", "report", "plan", "bench", "tune", "engines"],
)
def test_the_page_of_commands_names_every_flag_with_its_help(command: str) -> None:
    page = " ".join((PROJECT / "docs" / "command-line.md").read_text(encoding="utf-8").split())
    found = get_command(app).commands[command]  # type: ignore[attr-defined]
    assert f"## thresher {command} " in page
    for option in found.params:
        assert all(flag in page for flag in option.opts if flag.startswith("--")), option.opts
        assert " ".join((option.help or "").split()) in page, f"docs/command-line.md is out of date: {option.help}"
