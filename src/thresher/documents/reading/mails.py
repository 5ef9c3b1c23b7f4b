"""Files as the worker opens them: whole, or one attachment of a mail."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from thresher.documents.files import open_regular, printable, read_bytes
from thresher.documents.parsers.recognise import could_be_mail
from thresher.errors import UnreadableError

if TYPE_CHECKING:
    from thresher.documents.parsers.mail.attachments import OpenMail
    from thresher.documents.parsers.mail.mail import ListedAttachment

_START_BYTES = 8192


class MailFiles:
    """Reads files, and keeps the mail that was opened last: its attachments are asked for one after the other."""

    def __init__(self, file_limit_bytes: int) -> None:
        self._file_limit_bytes = file_limit_bytes
        self._last: tuple[object, OpenMail] | None = None

    def read(self, path: bytes, address: Sequence[int] = ()) -> tuple[bytes, str]:
        """The bytes of a file, or of the attachment at ``address`` in it, and its name.

        Raises:
            UnreadableError: it cannot be read, or is not there any more.
        """
        if not address:
            self._last = None
            return read_bytes(path, self._file_limit_bytes), _name(path)
        from thresher.documents.parsers.mail.attachments import file_name

        opened = self._open(path)
        if opened is None:
            raise UnreadableError("the mail that it was attached to cannot be read any more")
        attachment = opened.attachment(address)
        return attachment.read(), file_name(attachment, address[-1])

    def attachments(self, path: bytes) -> list[ListedAttachment]:
        """What is attached to the mail; nothing to a file that is none, or that cannot be read."""
        try:
            with open_regular(path) as file:
                start = file.read(_START_BYTES)
            if not could_be_mail(start, _name(path)):
                return []
            opened = self._open(path)
        except (UnreadableError, OSError):
            return []  # reading the file itself says why
        from thresher.documents.parsers.mail.attachments import list_attachments

        return [] if opened is None else list_attachments(opened.mail)

    def _open(self, path: bytes) -> OpenMail | None:
        from thresher.documents.parsers.mail.attachments import OpenMail, read_mail

        try:
            status = os.stat(path)  # noqa: PTH116 - the path is bytes
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror}") from error
        identity = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._last is not None and self._last[0] == identity:
            return self._last[1]
        self._last = None
        mail = read_mail(read_bytes(path, self._file_limit_bytes), _name(path))
        if mail is None:
            return None
        opened = OpenMail(mail)
        self._last = (identity, opened)
        return opened


def _name(path: bytes) -> str:
    return printable(PurePath(os.fsdecode(path)).name)
