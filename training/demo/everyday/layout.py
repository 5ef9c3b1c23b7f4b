"""Lay a document out: the grammar writes simple Markdown, and this turns it into one of many looks."""

import random
import re
import textwrap
from collections.abc import Callable

_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_BLANKS = re.compile(r"\n{3,}")
_TABLE_RULE = re.compile(r"^\|[-| :]+\|$\n?", re.MULTILINE)
_TABLE_ROW = re.compile(r"^\| ?(.*?) ?\|$", re.MULTILINE)
_EMPHASIS = re.compile(r"\*\*|`")


def lay_out(text: str, rng: random.Random) -> str:
    """Give `text` a random look; about a third of the titles go."""
    text = _BLANKS.sub("\n\n", text).strip()
    if text.startswith("# ") and "\n" in text and rng.random() < 0.35:
        text = text.partition("\n")[2].strip()
    if rng.random() > 0.3:
        text = _plain(text, rng)
    roll = rng.random()
    if roll < 0.34:
        text = _SHAPES[int(rng.random() * len(_SHAPES))](text)
    return text.strip()


def _plain(text: str, rng: random.Random) -> str:
    heading = _HEADINGS[int(rng.random() * len(_HEADINGS))]
    text = _HEADING.sub(lambda match: heading(match[2]), text)
    if "|" in text:
        joint = (" ", "\t", ";", ", ", "  ", " | ", " - ", "   ", ": ")[int(rng.random() * 9)]
        text = _TABLE_ROW.sub(
            lambda match: joint.join(c.strip() for c in match[1].split("|")), _TABLE_RULE.sub("", text)
        )
    return _EMPHASIS.sub("", text)


_HEADINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    str,
    str,
    lambda title: title + ":",
    lambda title: f"{title}\n{'=' * len(title)}",
    lambda title: f"{title}\n{'-' * len(title)}",
    lambda title: f"*** {title} ***",
    lambda title: f"[{title}]",
    lambda title: " ".join(title.upper()) if len(title) < 12 else title.upper(),
    lambda title: f"== {title} ==",
)


def _wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) if len(line) > width else line for line in text.split("\n"))


_SHAPES: tuple[Callable[[str], str], ...] = (
    lambda text: _wrap(text, 72),
    lambda text: _wrap(text, 58),
    lambda text: text.replace("\n\n", "\n"),
    lambda text: text.replace("\n\n", "\n"),
    lambda text: " ".join(text.split()),
    lambda text: text.replace("\n", "\n\n").replace("\n\n\n\n", "\n\n"),
    lambda text: textwrap.indent(text, "    "),
    lambda text: text.replace("\n", " \n "),
    lambda text: text.lower(),
    lambda text: "\n".join(line for line in text.split("\n") if line)[: max(len(text) * 2 // 3, 200)],
    lambda text: "\n".join("> " + line for line in text.split("\n")),
    lambda text: text.replace("\n", "\r\n"),
)
