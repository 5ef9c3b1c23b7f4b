"""One large file over HTTP, going on where an earlier attempt ended.

The bytes go to ``<target>.part``, which an interrupted run leaves behind and the next one continues with a range
request. When all are there and their SHA-256 is right, the file takes its name.
"""

from __future__ import annotations

import errno
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock
from huggingface_hub import constants, get_session, utils
from huggingface_hub.errors import HfHubHTTPError

from thresher.errors import ModelDownloadError
from thresher.models.files import Progress

#: The base of all errors of the HTTP library that the hub library uses (httpx in 1.x, httpx2 in 2.x).
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]

_hub_utils: Any = utils  # documented, and not exported to type checkers

_CHUNK_BYTES = 4 * 1024 * 1024
_ATTEMPTS_WITHOUT_PROGRESS = 5
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to fetch: from where, to where, and what it must be."""

    url: str
    target: Path
    size_bytes: int
    sha256: str

    @property
    def part(self) -> Path:
        """Where the bytes lie until all are there."""
        return self.target.with_name(self.target.name + ".part")

    def missing_bytes(self) -> int:
        """Bytes still to fetch."""
        present = self.part.stat().st_size if self.part.exists() else 0
        return max(0, self.size_bytes - present)


def download(repository: str, item: Download, progress: Progress | None) -> None:
    """Fetch ``item``; another process fetching the same file is waited for.

    Raises:
        ModelDownloadError: the connection, the server or the disk failed, or other bytes came than the hub names.
    """
    try:
        item.target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(item.part) + ".lock"):
            if item.target.exists():
                return
            with _Reporter(repository, item, progress) as report, item.part.open("ab") as file:
                _fill(repository, item, file, report)
            _check_digest(repository, item)
            item.part.replace(item.target)
    except OSError as error:
        raise ModelDownloadError(_write_problem(repository, item, error)) from error


def _fill(repository: str, item: Download, file: BinaryIO, report: _Reporter) -> None:
    """Append what is missing; a cut connection is tried again as long as it brings something."""
    attempts = 0
    while (present := file.tell()) < item.size_bytes:
        try:
            _append(item, file, report)
        except HfHubHTTPError as error:
            status = error.response.status_code
            raise ModelDownloadError(
                f"{repository}: {item.url} answered with status {status}; try again later"
            ) from error
        except HTTP_ERROR as error:
            attempts = 1 if file.tell() > present else attempts + 1
            if attempts >= _ATTEMPTS_WITHOUT_PROGRESS:
                raise ModelDownloadError(
                    f"{repository}: the connection broke {attempts} times ({error}); {file.tell():,} of "
                    f"{item.size_bytes:,} bytes are kept: run the same command again to go on"
                ) from error
            time.sleep(_PAUSE_S)


def _append(item: Download, file: BinaryIO, report: _Reporter) -> None:
    headers = {**_hub_utils.build_hf_headers(), "Accept-Encoding": "identity"}
    if file.tell() > 0:
        headers["Range"] = f"bytes={file.tell()}-"
    with get_session().stream("GET", item.url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
        _hub_utils.hf_raise_for_status(response)
        if file.tell() > 0 and response.status_code != 206:  # the server sends all of it, whatever was asked for
            file.seek(0)
            file.truncate()
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)
            report(file.tell())


def _check_digest(repository: str, item: Download) -> None:
    with item.part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != item.sha256:
        item.part.unlink()
        raise ModelDownloadError(
            f"{repository}: {item.url} was damaged on the way (its SHA-256 is {found}, the hub names {item.sha256}); "
            "it was removed: run the same command again"
        )


def _write_problem(repository: str, item: Download, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{repository}: the disk of {item.target.parent} is full; {item.part.stat().st_size:,} of "
            f"{item.size_bytes:,} bytes are kept: make room and run the same command again"
        )
    return f"{repository}: {item.part} cannot be written: {error.strerror or error}"


class _Reporter:
    """Tells how far a download is: to the caller's function, or else on a terminal by a bar."""

    def __init__(self, repository: str, item: Download, progress: Progress | None) -> None:
        self._progress = progress
        self._total = item.size_bytes
        silent = True if progress else None  # None: silent unless on a terminal
        self._bar = _hub_utils.tqdm(total=item.size_bytes, desc=repository, unit="B", unit_scale=True, disable=silent)

    def __call__(self, present: int) -> None:
        if self._progress:
            self._progress(present, self._total)
        self._bar.update(present - self._bar.n)

    def __enter__(self) -> _Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
