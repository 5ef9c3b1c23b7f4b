"""Draws ``docs/demo.svg``: what ``make demo`` prints on this machine.

python docs/picture.py
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[1]
_WIDTH = 110
_ROWS_SHOWN = 16
# rich's own frame, without its web fonts: the picture must not load anything
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def demo_output() -> str:
    """The command and what it prints, a few rows of the table instead of all."""
    command = ["classify", "examples/documents", "--task", "examples/task.yaml", "--model", "demo"]
    with tempfile.TemporaryDirectory() as folder:
        full = [sys.executable, "-m", "thresher", *command, "--job", f"{folder}/job"]
        shown = subprocess.run(full, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
        shown = shown.replace(f"{folder}/job", "thresher-jobs/everyday-documents")
    table, _, summary = shown.partition("\n\n")
    lines = table.splitlines()
    kept = [*lines[: _ROWS_SHOWN + 1], f"... {len(lines) - 1 - _ROWS_SHOWN} more", ""]
    return f"$ thresher {' '.join(command)}\n" + "\n".join(kept) + "\n" + summary


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO())
    console.print(Text("\n".join(line.rstrip() for line in demo_output().splitlines())))
    console.save_svg(str(PROJECT / "docs" / "demo.svg"), title="thresher", code_format=_FORMAT)


if __name__ == "__main__":
    main()
