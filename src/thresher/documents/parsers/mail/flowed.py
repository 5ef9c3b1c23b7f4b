"""Plain text sent as format=flowed (RFC 3676): lines that were broken to fit are one line again."""

from __future__ import annotations

import re

_QUOTES = re.compile(r"^>+")


def unflow(text: str, *, delete_space: bool) -> str:
    """The text with its paragraphs joined.

    Args:
        text: as it was sent; a line that ends in a space goes on in the next one of the same quote depth.
        delete_space: ``DelSp=yes``: that space is not part of the text.
    """
    out: list[str] = []
    depth_before, flows = -1, False
    for line in text.splitlines():
        depth, content = _depth(line)
        if flows and depth == depth_before and content != "-- ":
            out[-1] = (out[-1][:-1] if delete_space else out[-1]) + content
        else:
            out.append("> " * depth + content if depth else content)
        depth_before, flows = depth, content.endswith(" ") and content != "-- "
    return "\n".join(out)


def _depth(line: str) -> tuple[int, str]:
    quotes = _QUOTES.match(line)
    depth = len(quotes[0]) if quotes else 0
    content = line[depth:]
    return depth, content.removeprefix(" ")
