"""What a reply must be to say a label: its text and nothing else, or JSON with one property."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from thresher.engines.servers.fault import ServerError

Form = Literal["plain", "json"]
PROPERTY = "label"
_SHOWN_CHARACTERS = 60


class NoLabelError(ServerError):
    """The reply is none of the labels; asked again it would be the same."""


def response_format(options: Sequence[str]) -> Mapping[str, Any]:
    """The structured output that lets an endpoint say one of ``options`` only."""
    schema = {
        "type": "object", "properties": {PROPERTY: {"type": "string", "enum": list(options)}},
        "required": [PROPERTY], "additionalProperties": False,
    }  # fmt: skip
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def said(content: str, options: Sequence[str], form: Form) -> int:
    """Which of ``options`` the reply ``content`` says, by its place.

    White space around it is nothing; anything else is.

    Raises:
        NoLabelError: none of them; the message shows how the reply begins.
    """
    text = content.strip() if form == "plain" else _property(content)
    if text in options:
        return options.index(text)
    shown = content.strip()[:_SHOWN_CHARACTERS]
    rest = "..." if len(content.strip()) > _SHOWN_CHARACTERS else ""
    raise NoLabelError(f"the reply is none of the {len(options)} labels: {shown!r}{rest}{_advice(content)}")


def surface(content: str, options: Sequence[str], form: Form, choice: int) -> list[bytes]:
    """How each option would look in place of the one said, in the same spelling."""
    if form == "plain":
        lead = content[: len(content) - len(content.lstrip())]
        return [(lead + option).encode() for option in options]
    written = _spelling(content, options[choice])
    if written is None:
        return []
    before, _, after = content.partition(written)
    as_ascii = written.isascii()
    return [(before + json.dumps(option, ensure_ascii=as_ascii) + after).encode() for option in options]


def _spelling(content: str, option: str) -> str | None:
    """The option as JSON writes it in ``content``: with escapes or without; None where it stands there twice."""
    for written in (json.dumps(option), json.dumps(option, ensure_ascii=False)):
        if content.count(written) == 1:
            return written
    return None


def _property(content: str) -> str | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    found = value.get(PROPERTY) if isinstance(value, dict) and len(value) == 1 else None
    return found if isinstance(found, str) else None


def _advice(content: str) -> str:
    if content.lstrip().startswith(("<think", "<|channel|>", "<|start_of_thought|>", "[THINK]")):
        return "; the model thinks before it answers: turn that off at the server"
    if not content.strip():
        return "; the model may have spent its tokens on thinking: turn that off at the server"
    return ""
