"""What a real terminal (a pseudo-terminal) is sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

_COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Everything that ``thresher`` writes to a terminal."""
    master, slave = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "thresher", *arguments],
        cwd=folder, stdin=slave, stdout=slave, stderr=slave, env={**clean, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not data:
            break
        shown += data
    process.wait()
    os.close(master)
    return shown.decode()


@pytest.fixture
def command(tmp_path: Path, model: str) -> tuple[str, ...]:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.txt").write_text(f"Document {number}")
    return ("classify", "in", "--labels", "a,b", "--model", model, "--engine", "fake", "--verbose")


def test_colour_is_used_where_it_is_welcome(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert _COLOUR.search(on_terminal(tmp_path, *command))
    assert _COLOUR.search(on_terminal(tmp_path, "status", "nowhere"))


def test_no_color_means_no_colour(tmp_path: Path, command: tuple[str, ...]) -> None:
    shown = on_terminal(tmp_path, *command, NO_COLOR="1")
    assert "documents/s" in shown
    assert not _COLOUR.search(shown)
    for arguments in (("status", "nowhere"), ("classify", "--nonsense"), ("classify", "--help"), ("engines",)):
        assert not _COLOUR.search(on_terminal(tmp_path, *arguments, NO_COLOR="1"))


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path, command: tuple[str, ...]) -> None:
    shown = on_terminal(tmp_path, *command, TERM="dumb")
    assert "documents/s" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in on_terminal(tmp_path, "status", "nowhere", TERM="dumb")
