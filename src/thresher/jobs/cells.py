"""Values as the store's tables have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from thresher.jobs.records import Result
from thresher.types import ReplyForm

RESULT_COLUMNS = (
    "run_id, content_sha256, question, status, label, probability, probabilities, label_mass, expected, "
    "document_tokens, truncated_tokens, prompt_tokens, cached_tokens, error"
)


def result_cells(run_id: int, result: Result) -> tuple[object, ...]:
    """A row of the table, in the order of ``RESULT_COLUMNS``."""
    return (
        run_id, to_blob(result.content_sha256), result.question, result.status, label_cell(result.label),
        result.probability, to_json(result.probabilities), result.label_mass, result.expected,
        result.document_tokens, result.truncated_tokens, result.prompt_tokens, result.cached_tokens, result.error,
    )  # fmt: skip


def to_blob(sha256_hex: str | None) -> bytes | None:
    """A hash in hex as the store has it."""
    return bytes.fromhex(sha256_hex) if sha256_hex else None


def label_cell(label: str | tuple[str, ...] | None) -> str | None:
    """One label as it is, several as JSON."""
    return json.dumps(label, ensure_ascii=False) if isinstance(label, tuple) else label


def reply_form_cell(form: ReplyForm | None) -> str | None:
    """A reply form as JSON."""
    return None if form is None else json.dumps(asdict(form), ensure_ascii=False)


def to_json(by_name: Mapping[str, float] | Mapping[str, str] | None) -> str | None:
    """Values by name as JSON."""
    return None if by_name is None else json.dumps(by_name, ensure_ascii=False)
