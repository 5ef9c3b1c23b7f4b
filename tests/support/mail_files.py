"""Mails of both kinds, made so that tests can say exactly what is in them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from tests.support.ole_files import Storage, ole_file

Attached = tuple[str, bytes]


def eml(subject: str = "Hello", body: str = "Hello\n", attached: Sequence[Attached] = (), **headers: str) -> bytes:
    """A mail as a well-behaved program writes it; an attachment is a name and bytes."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ann <ann@example.org>", "bob@example.org", subject
    mail["Message-ID"] = "<1@example.org>"
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(body)
    for name, data in attached:
        if name.endswith(".eml"):
            mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        else:
            mail.add_attachment(data, maintype="application", subtype="pdf", filename=name)
    return mail.as_bytes(policy=SMTP)


def raw_mail(head: str, body: bytes = b"body\r\n") -> bytes:
    """A mail of the header lines as they are given."""
    lines = "\r\n".join(["From: ann@example.org", "Message-ID: <1@example.org>", *head.strip("\n").split("\n")])
    return lines.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def msg_object(
    texts: Mapping[int, str | bytes], numbers: Mapping[int, int] | None = None, *, head: int = 32
) -> dict[str, Any]:
    """The streams of a message, a recipient or an attachment in an MSG file: tag -> value, text in UTF-16."""
    streams: dict[str, Any] = {}
    for tag, value in texts.items():
        kind = 0x1F if isinstance(value, str) else 0x102
        streams[f"__substg1.0_{tag:04X}{kind:04X}"] = value.encode("utf-16-le") if isinstance(value, str) else value
    fixed = b"".join(struct.pack("<HHIQ", 3, tag, 6, value) for tag, value in (numbers or {}).items())
    streams["__properties_version1.0"] = bytes(head) + fixed
    return streams


def msg(
    texts: Mapping[int, str | bytes], storages: Storage | None = None, numbers: Mapping[int, int] | None = None
) -> bytes:
    """An MSG file with these properties, and recipients and attachments as storages."""
    return ole_file({**msg_object(texts, numbers), **(storages or {})})


def msg_mail(subject: str = "Hello", body: str = "Hello", attached: Sequence[Attached] = ()) -> bytes:
    """A simple Outlook mail."""
    storages = {
        f"__attach_version1.0_#{number:08X}": msg_object({0x3707: name, 0x3701: data}, {0x3705: 1}, head=8)
        for number, (name, data) in enumerate(attached)
    }
    return msg({0x0037: subject, 0x0C1A: "Ann", 0x5D01: "ann@example.org", 0x0E04: "Bob", 0x1000: body}, storages)
