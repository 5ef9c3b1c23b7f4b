"""Documents as the output file of an OpenAI batch: one line a document, its answer a chat completion.

The format is that of https://platform.openai.com/docs/api-reference/batch/request-output. What it has no place for
stands under ``thresher`` in the completion's body, where the clients in use keep it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from thresher.jobs.exporters.base import ExportSource, Written
from thresher.types import Prediction

#: Status -> (HTTP status, kind of error, code), as an endpoint answers such a request.
_ERRORS = {
    "unreadable": (400, "invalid_request_error", "unreadable"),
    "oversize": (400, "invalid_request_error", "context_length_exceeded"),
    "engine_error": (500, "server_error", "engine_error"),
}


class OpenAiBatchExporter:
    """Writes a batch's output, line by line."""

    def write(self, source: ExportSource, file: Path) -> Written:
        """Write one line for each document, in the order of the input."""
        created = int(time.time())
        count = 0
        with file.open("w", encoding="utf-8", newline="\n", errors="replace") as stream:
            for _, rows in itertools.groupby(source.rows, key=attrgetter("document_id")):
                stream.write(json.dumps(_line(list(rows), created), ensure_ascii=False) + "\n")
                count += 1
        return Written(entries=count)


def _line(rows: Sequence[Prediction], created: int) -> dict[str, Any]:
    first = rows[0]
    key = hashlib.sha256(f"{first.document_id}\0{first.content_sha256}".encode("utf-8", "replace")).hexdigest()[:24]
    failed = next((row for row in rows if row.error is not None), None)
    if failed is None:
        status, body, error = 200, _completion(rows, f"chatcmpl-{key}", created), None
    else:
        status, kind, code = _ERRORS[failed.status]
        error = {"code": code, "message": failed.error}
        body = {"error": {"message": failed.error, "type": kind, "param": None, "code": code}}
    response = {"status_code": status, "request_id": f"req_{key}", "body": body}
    return {"id": f"batch_req_{key}", "custom_id": first.document_id, "response": response, "error": error}


def _completion(rows: Sequence[Prediction], completion_id: str, created: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": _content(rows), "refusal": None}
    # log probabilities of an endpoint are those of tokens of the vocabulary; what was measured are labels
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": completion_id,
        "object": "chat.completion",
        "created": created,
        "model": rows[0].model,
        "choices": [choice],
        "usage": _usage(rows[0]),
        "system_fingerprint": None,
        "thresher": {row.question: _measured(row) for row in rows},
    }


def _content(rows: Sequence[Prediction]) -> str | None:
    """What the request asked for; several questions as an object, a list of labels as JSON, no label as null."""
    first = rows[0]
    if len(rows) > 1:
        return json.dumps({row.question: row.label for row in rows}, ensure_ascii=False)
    if isinstance(first.label, tuple):
        return json.dumps(first.label, ensure_ascii=False)
    if first.label is None or first.reply_form is None:
        return first.label
    return first.reply_form.content(first.label)


def _usage(row: Prediction) -> dict[str, Any] | None:
    """Answers are read off the model's probabilities, so no completion token is generated."""
    if row.prompt_tokens is None:
        return None
    return {
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": 0,
        "total_tokens": row.prompt_tokens,
        "prompt_tokens_details": {"cached_tokens": row.cached_tokens},
    }


def _measured(row: Prediction) -> dict[str, Any]:
    return {
        "label": row.label,
        "probability": row.probability,
        "probabilities": dict(row.probabilities),
        "label_mass": row.label_mass,
        "expected": row.expected,
        "status": row.status,
        "truncated_tokens": row.truncated_tokens,
    }
