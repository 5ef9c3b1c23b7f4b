"""Writes the help of every command into docs/command-line.md, under its heading: ``python docs/commands.py``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from thresher.cli import app

_PAGE = Path(__file__).parent / "command-line.md"
_COLUMNS = 118


def main() -> None:
    """Put in what is new, replace what is there, and leave everything around it."""
    text = _PAGE.read_text(encoding="utf-8")
    os.environ["NO_COLOR"] = "1"
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        block = f"## thresher {name}\n\n```text\n{_help(name)}\n```\n"
        pattern = re.compile(rf"^## thresher {name}\n\n```text\n.*?^```\n", re.DOTALL | re.MULTILINE)
        if pattern.search(text):
            text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
        else:
            text = text.replace("## thresher engines\n", f"{block}\n## thresher engines\n")
    _PAGE.write_text(text, encoding="utf-8")


def _help(name: str) -> str:
    result = CliRunner().invoke(app, [name, "--help"], prog_name="thresher", terminal_width=_COLUMNS)
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


if __name__ == "__main__":
    main()
