"""Documents of given lengths in tokens, made of the project's example documents."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from thresher.models.tokenizer import Tokenizer

_EXAMPLES = Path(__file__).parents[1] / "examples" / "documents"


def make_documents(tokenizer: Tokenizer, lengths: Sequence[int], seed: int) -> list[str]:
    """Texts of about ``lengths`` tokens, each beginning differently; another ``seed`` gives other texts."""
    files = sorted(path for path in _EXAMPLES.rglob("*") if path.suffix in {".md", ".txt", ".html", ".csv"})
    lines = [line for file in files for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    chooser = random.Random(seed)
    return [_make(tokenizer, lines, length, chooser) for length in lengths]


def _make(tokenizer: Tokenizer, lines: Sequence[str], length: int, chooser: random.Random) -> str:
    parts = [f"No. {chooser.randrange(10**9)}"]
    tokens = 0
    while tokens < length:
        start = chooser.randrange(len(lines))
        parts += lines[start : start + 8]
        tokens = len(tokenizer.encode("\n".join(parts[-8:]))) + tokens
    return tokenizer.decode(tokenizer.encode("\n".join(parts))[:length]).strip()
