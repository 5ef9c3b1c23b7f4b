"""Executables made for tests."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support import llama_server_program


def write_program(path: Path, source: str) -> Path:
    """An executable Python program at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{source}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def write_llama_server(folder: Path) -> Path:
    """``llama-server``, as :mod:`tests.support.llama_server_program` has it."""
    return write_program(folder / "llama-server", Path(llama_server_program.__file__).read_text(encoding="utf-8"))
