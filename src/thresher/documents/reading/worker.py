"""The worker process: paths come in, texts or reasons go out, one document after the other.

It is started by the pool with the standard streams as pipes and SIGINT blocked. It limits its own memory, dies with its
parent, and leaves Ctrl-C to the parent.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import recognise
from thresher.documents.reading.framing import encode, read_message
from thresher.documents.reading.mails import MailFiles
from thresher.documents.reading.self_limits import end_with, limit_memory, peak_bytes, set_alarm
from thresher.errors import UnreadableError

#: A worker asks to be replaced after this many documents, lest leaks of libraries add up.
DOCUMENTS_PER_WORKER = 5000
#: The worker kills itself this long after the time limit, should the parent not do it.
_ALARM_GRACE_S = 10

ParseDocument = Callable[[bytes, str], tuple[str, str]]


def parse_document(data: bytes, name: str, *, ocr: bool = False) -> tuple[str, str]:
    """Media type and text of a file's bytes.

    Raises:
        UnreadableError: the reason for there being no text.
    """
    media_type = recognise(data, name, ocr=ocr)
    return media_type, parse(data, media_type, name, ocr=ocr)


def main(parse_as: ParseDocument | None = None) -> None:
    """Serve the pool until it hangs up. ``parse_as`` stands for :func:`parse_document` in tests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    settings = read_message(requests)
    if settings is None:
        return
    end_with(settings["parent"])
    limit_memory(settings["memory_limit_bytes"])
    answers.write(encode({"ready": True}))
    answers.flush()
    _silence()
    _serve(requests, answers, settings, parse_as or functools.partial(parse_document, ocr=settings["ocr"]))


def _serve(requests: BinaryIO, answers: BinaryIO, settings: dict[str, Any], parse_document: ParseDocument) -> None:
    alarm_s = int(settings["timeout_s"]) + _ALARM_GRACE_S
    reader = _Reader(settings["file_limit_bytes"], settings["memory_limit_bytes"], parse_document)
    served = 0
    while (request := read_message(requests)) is not None:
        set_alarm(alarm_s)
        header, body = reader.answer(request)
        set_alarm(0)
        served += 1
        header["retire"] = served >= DOCUMENTS_PER_WORKER or reader.has_grown()
        answers.write(encode(header, body))
        answers.flush()


class _Reader:
    """Answers one request at a time and tells how it went."""

    def __init__(self, file_limit_bytes: int, memory_limit_bytes: int, parse_document: ParseDocument) -> None:
        self._files = MailFiles(file_limit_bytes)
        self._memory_limit_bytes = memory_limit_bytes
        self._parse_document = parse_document
        self._peak_limit_bytes = peak_bytes() + memory_limit_bytes // 4

    def answer(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Header and body of the answer: a document's text, or with ``list`` the attachments of a mail."""
        started = time.perf_counter()
        header: dict[str, Any] = {"sha256": None, "media_type": None, "reason": None}
        body = b""
        try:
            body = self._list(request["path"]) if request.get("list") else self._read(request, header)
        except UnreadableError as error:
            header["reason"] = str(error)
        except MemoryError:
            header["reason"] = f"needs more than {self._memory_limit_bytes / 1024**2:,.0f} MiB of memory to be read"
        except RecursionError:
            header["reason"] = "nested too deeply to be read"
        except Exception as error:  # noqa: BLE001 - a parser's mistake costs one document, not the run
            header["reason"] = f"the parser failed: {type(error).__name__}: {error}"
        header["seconds"] = time.perf_counter() - started
        return header, body

    def _read(self, request: Mapping[str, Any], header: dict[str, Any]) -> bytes:
        data, name = self._files.read(os.fsencode(request["path"]), request.get("address") or ())
        header["sha256"] = hashlib.sha256(data).hexdigest()
        header["media_type"], text = self._parse_document(data, name)
        return text.encode()

    def _list(self, path: str) -> bytes:
        entries = self._files.attachments(os.fsencode(path))
        return json.dumps([[entry.address, entry.name, entry.size_bytes, entry.problem] for entry in entries]).encode()

    def has_grown(self) -> bool:
        """Whether this process has once held much more than at its start."""
        return peak_bytes() > self._peak_limit_bytes


def _silence() -> None:
    """Whatever libraries print goes nowhere; until here, errors went to the pool."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


if __name__ == "__main__":
    main()
