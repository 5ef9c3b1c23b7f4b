"""Batch files as people write them: 200 requests of three kinds, mixed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.prompts import make_text

KINDS = ["invoice", "contract", "minutes", "other"]
ALLOWED = (
    {json.dumps({"kind": kind}) for kind in KINDS},
    {"yes", "no"},
    {json.dumps({"urgency": n}) for n in range(1, 6)},
)


def request(custom_id: str, messages: list[dict[str, Any]], **body: Any) -> dict[str, Any]:
    body = {"model": "gpt", "messages": messages, "temperature": 0, **body}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def mixed_requests(count: int) -> list[dict[str, Any]]:
    """Three kinds in turn: an object with an enum, vLLM's choices, a score; ``ALLOWED[n % 3]`` are their replies."""
    return [_request(number) for number in range(count)]


def write_batch(file: Path, lines: Iterable[dict[str, Any] | str]) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def _request(number: int) -> dict[str, Any]:
    text = make_text(1 + number % 4, start=number)
    if number % 3 == 0:
        schema = {"type": "object", "properties": {"kind": {"type": "string", "enum": KINDS}}, "required": ["kind"]}
        messages = [
            {"role": "system", "content": "You sort letters. Answer with JSON."},
            {"role": "user", "content": f"What kind of letter is it?\n\n{text}\n\nAnswer."},
        ]
        return request(f"kind-{number}", messages, response_format=_format(schema))
    if number % 3 == 1:
        parts = [{"type": "text", "text": "Is this letter about money?"}, {"type": "text", "text": text}]
        choice = {"structured_outputs": {"choice": ["yes", "no"]}}
        return request(f"money-{number}", [{"role": "user", "content": parts}], **choice)
    schema = {"type": "object", "properties": {"urgency": {"type": "integer", "minimum": 1, "maximum": 5}}}
    messages = [{"role": "user", "content": f"How urgent is it?\n{text}"}]
    return request(f"urgent-{number}", messages, response_format=_format(schema))


def _format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
