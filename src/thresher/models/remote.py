"""Byte ranges of a file on an HTTP server, so that a header of 10 MB is read without the 20 GB behind it."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub import constants, get_session, utils
from huggingface_hub.errors import HfHubHTTPError

from thresher.errors import ModelDownloadError
from thresher.models.download import HTTP_ERROR

_hub_utils: Any = utils  # documented, and not exported to type checkers

#: Bytes fetched at least: headers are read in small pieces.
_LEAST_BYTES = 1 << 16


class RemoteFile:
    """A :class:`~thresher.models.gguf_parser.ByteSource` over HTTP range requests.

    The hub's own token goes along (``HF_TOKEN``, ``hf auth login``) where the address is the hub's.
    """

    def __init__(self, name: str, url: str, *, authenticate: bool) -> None:
        """Asks for the beginning. Raises ``ModelDownloadError``."""
        self.name = name
        self._url = url
        self._headers = dict(_hub_utils.build_hf_headers(token=None if authenticate else False))
        self.size_bytes = 0
        self._start = self._fetch(0, _LEAST_BYTES)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from ``offset`` on; fewer than ``length`` at the end. Raises ``ModelDownloadError``."""
        end = min(offset + length, self.size_bytes)
        if end <= len(self._start):
            return self._start[offset:end]
        return self._fetch(offset, end - offset) if offset < end else b""

    def _fetch(self, offset: int, length: int) -> bytes:
        """The server must answer with the range alone, or with a file that is no longer than the range."""
        headers = {**self._headers, "Accept-Encoding": "identity", "Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            with get_session().stream(
                "GET", self._url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=True
            ) as response:
                _hub_utils.hf_raise_for_status(response)
                if response.status_code == 206:
                    self._learn_size(response.headers.get("Content-Range", ""))
                    content = bytes(response.read())
                else:
                    content = self._whole(response, offset, length)
        except HfHubHTTPError as error:
            status = error.response.status_code
            raise ModelDownloadError(f"{self.name}: {self._url} answered with status {status}") from error
        except HTTP_ERROR as error:
            raise ModelDownloadError(f"{self.name}: {self._url} cannot be reached ({error}); try again") from error
        if len(content) < min(length, self.size_bytes - offset):
            raise ModelDownloadError(f"{self.name}: {self._url} broke off after {len(content):,} bytes; try again")
        return content

    def _learn_size(self, content_range: str) -> None:
        match = re.fullmatch(r"bytes \d+-\d+/(\d+)", content_range)
        if match is None:
            raise ModelDownloadError(
                f"{self.name}: {self._url} does not say how large the file is; download the file and give its path"
            )
        self.size_bytes = int(match[1])

    def _whole(self, response: Any, offset: int, length: int) -> bytes:
        """The part wanted of an answer that is the whole file, which must be small."""
        self.size_bytes = int(response.headers.get("Content-Length", 0))
        if not 0 < self.size_bytes <= max(length, _LEAST_BYTES):
            raise ModelDownloadError(
                f"{self.name}: {self._url} serves no parts of files (range requests), and all of it are "
                f"{self.size_bytes:,} bytes; download the file and give its path"
            )
        return bytes(response.read())[offset : offset + length]
