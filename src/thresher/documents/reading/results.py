"""What the pool gives back for a file, made from a worker's answer or from its failure to answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from thresher.documents.parsers.mail.mail import ListedAttachment
from thresher.types import Failure


class NonsenseError(Exception):
    """An answer that is none: the worker has parsed hostile data and is not to be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What became of one document: its text, or why there is none."""

    text: str | None = None
    failure: Failure | None = None  # status "unreadable"; exactly one of text and failure is set
    content_sha256: str | None = None  # of the very bytes that were parsed; None where they were never read
    media_type: str | None = None
    seconds: float = 0.0  # reading and parsing

    @classmethod
    def from_answer(cls, header: Mapping[str, Any], body: bytes) -> Self:
        """The result that a worker sent. Raises ``NonsenseError``."""
        reason = header.get("reason")
        try:
            return cls(
                text=None if reason else body.decode(),
                failure=Failure(status="unreadable", reason=str(reason)) if reason else None,
                content_sha256=header["sha256"],
                media_type=header["media_type"],
                seconds=float(header["seconds"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise NonsenseError(str(error)) from error

    @classmethod
    def from_failure(cls, reason: str, seconds: float) -> Self:
        """The result of a worker that did not answer."""
        return cls(failure=Failure(status="unreadable", reason=reason), seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentList:
    """The attachments of one file, or why they could not be listed; none for what is no mail."""

    entries: tuple[ListedAttachment, ...] = ()
    failure: Failure | None = None
    seconds: float = 0.0

    @classmethod
    def from_answer(cls, header: Mapping[str, Any], body: bytes) -> Self:
        """The list that a worker sent. Raises ``NonsenseError``."""
        if reason := header.get("reason"):
            return cls.from_failure(str(reason), 0.0)
        try:
            entries = [
                ListedAttachment(
                    address=tuple(map(int, address)),
                    name=str(name),
                    size_bytes=int(size),
                    problem=None if problem is None else str(problem),
                )
                for address, name, size, problem in json.loads(body)
            ]
            return cls(entries=tuple(entries), seconds=float(header["seconds"]))
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise NonsenseError(str(error)) from error

    @classmethod
    def from_failure(cls, reason: str, seconds: float) -> Self:
        """The list of a worker that did not answer."""
        return cls(failure=Failure(status="unreadable", reason=reason), seconds=seconds)
