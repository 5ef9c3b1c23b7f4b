"""What a user may ask of a run."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from thresher.documents import check_ocr
from thresher.errors import UsageError
from thresher.pipeline.admission import LONG_POLICIES, LongPolicy

_SMALLEST_CONTEXT_TOKENS = 64
JOBS_FOLDER = "thresher-jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOptions:
    """Everything beside the inputs, the task and the model.

    Raises:
        UsageError: a value is out of its range; the message names it, the range and the remedy.
    """

    engine: str = "auto"
    precision: str = "auto"
    job: Path | None = None
    text_column: str | None = None
    id_column: str | None = None
    gold_columns: tuple[str, ...] = ()  # as --gold-column gives them: COLUMN or QUESTION=COLUMN
    content_free: bool = False
    attachments: bool = False
    ocr: bool = False
    context_tokens: int | None = None
    long_policy: LongPolicy = "head-tail"
    limit: int | None = None
    retry_failed: bool = False
    store_text: bool = True
    threads: int | None = None
    device: str | None = None
    weights_memory_bytes: int | None = None
    tokenizer: str | None = None  # the reference of a served model's files
    deadline_s: float | None = None
    settings: Mapping[str, int] = field(default_factory=dict)  # of the engine; empty: those of its saved profile
    use_profile: bool = True

    def __post_init__(self) -> None:
        if self.long_policy not in LONG_POLICIES:
            raise UsageError(f"--long is {self.long_policy!r}; use one of {', '.join(LONG_POLICIES)}")
        if self.ocr:
            check_ocr()
        _check_at_least("--limit", self.limit, 1)
        _check_at_least("--threads", self.threads, 1)
        _check_at_least("--deadline", self.deadline_s, 1)
        _check_at_least("--context", self.context_tokens, _SMALLEST_CONTEXT_TOKENS)


def _check_at_least(flag: str, value: float | None, least: int) -> None:
    if value is not None and value < least:
        raise UsageError(f"{flag} is {value}; it must be at least {least}")


def default_job_folder(inputs: Sequence[str | os.PathLike[str]], name: str, fingerprint: str) -> Path:
    """``thresher-jobs/<task>-<8 hex of inputs and task>`` in the working folder."""
    digest = hashlib.sha256(fingerprint.encode())
    for place in inputs:
        digest.update(b"\0" + os.fsencode(Path(place).absolute()))
    slug = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "task"
    return Path(JOBS_FOLDER) / f"{slug}-{digest.hexdigest()[:8]}"
