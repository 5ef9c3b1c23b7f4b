"""Internet mail (RFC 5322): a file's bytes -> mail."""

from __future__ import annotations

import re
from dataclasses import replace

from thresher.documents.parsers.charset import decode
from thresher.documents.parsers.mail.mail import Mail
from thresher.documents.parsers.mail.parts import from_message
from thresher.documents.parsers.mail.structure import parse_structure, translated
from thresher.errors import UnreadableError

#: One of these says that the file is a mail at all.
_MAIL_HEADERS = frozenset(
    [
        *("from", "to", "cc", "bcc", "subject", "date", "sender", "received", "return-path", "message-id", "reply-to"),
        *("mime-version", "content-type", "content-transfer-encoding", "delivered-to", "x-mailer", "newsgroups"),
    ]
)
_NEXT_IN_MBOX = re.compile(rb"\n\r?\n(From [^\r\n]{1,200} \d{4}[^\r\n]{0,40})\r?\n[\w-]+: ")
_END_OF_HEADERS = re.compile(rb"\r?\n[ \t]*\r?\n")


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """Subject, From, To, Cc, Date and the names of attachments, a line each; then the body.

    Raises:
        UnreadableError: no mail and no text, a mailbox of several mails, or nested too deeply.
    """
    return read(data).text()


def read(data: bytes) -> Mail:
    """A mail from its source. A file without a mail's headers is a mail of nothing but a body.

    Raises:
        UnreadableError: as :func:`parse`.
    """
    if is_mailbox(data):
        raise UnreadableError("mailbox file (mbox) of several mails; split it into one file for each mail")
    with translated():
        message = parse_structure(data)
        if not any(header.lower() in _MAIL_HEADERS for header, _ in message.raw_items()):
            return Mail(body=decode(data))
        mail = from_message(message)
    return mail if mail.body or mail.attachments else replace(mail, body=_behind_headers(data))


def is_mailbox(data: bytes) -> bool:
    """Whether this is an mbox file of more than one mail."""
    return data.startswith(b"From ") and _NEXT_IN_MBOX.search(data) is not None


def _behind_headers(data: bytes) -> str:
    """What stands below the headers, as it is: the last resort where the parts cannot be told apart."""
    end = _END_OF_HEADERS.search(data)
    return decode(data[end.end() :]) if end and data[end.end() :].strip() else ""
