"""Outlook's MSG: an OLE container of properties (MS-OXMSG, MS-OXPROPS) -> mail."""

from __future__ import annotations

import email.parser
from io import BytesIO

from olefile import OleFileIO

from thresher.documents.parsers import rtf
from thresher.documents.parsers.declared import decode_declared
from thresher.documents.parsers.html import visible_text
from thresher.documents.parsers.mail.compressed_rtf import decompress
from thresher.documents.parsers.mail.headers import decode_header
from thresher.documents.parsers.mail.mail import FORWARDED, SHOWN_HEADERS, Attachment, Mail
from thresher.documents.parsers.mail.msg_properties import MsgObject
from thresher.errors import UnreadableError

#: Messages within messages.
MAX_DEPTH = 50
_SUBJECT, _HEADERS, _BODY, _HTML, _RTF = 0x0037, 0x007D, 0x1000, 0x1013, 0x1009
_SENT, _DELIVERED, _DISPLAY_TO, _DISPLAY_CC = 0x0039, 0x0E06, 0x0E04, 0x0E03
_FROM_NAMES, _FROM_ADDRESSES = (0x0C1A, 0x0042), (0x5D01, 0x5D02, 0x0C1F, 0x0065)
_NAME, _ADDRESSES, _KIND = 0x3001, (0x39FE, 0x3003), 0x0C15
_LONG_FILE_NAME, _FILE_NAME, _DATA, _PATH = 0x3707, 0x3704, 0x3701, 0x370D
_KIND_OF = {"To": 1, "Cc": 2}


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """Subject, From, To, Cc, Date and the names of attachments, a line each; then the body.

    Raises:
        UnreadableError: a broken container, or messages nested too deeply.
    """
    return read(data).text()


def read(data: bytes) -> Mail:
    """A mail from an MSG file.

    Raises:
        UnreadableError: as :func:`parse`.
    """
    try:
        with OleFileIO(BytesIO(data)) as ole:
            return _mail(MsgObject(ole), 0)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # olefile raises OSError and what struct and slices raise
        raise UnreadableError(f"broken Outlook mail: {type(error).__name__}: {error}") from error


def _mail(message: MsgObject, depth: int) -> Mail:
    if depth > MAX_DEPTH:
        raise UnreadableError(f"Outlook mail nested more than {MAX_DEPTH} messages deep")
    attachments = [_attachment(attached, depth) for attached in message.inside("attach")]
    forwarded = [f"{FORWARDED}\n{attached.mail.text()}" for attached in attachments if attached.mail is not None]
    return Mail(
        headers={name: value for name, value in _headers(message).items() if value},
        body="\n\n".join([_body(message), *forwarded]),
        attachments=tuple(attachments),
    )


def _headers(message: MsgObject) -> dict[str, str]:
    """As the mail was sent, where that is kept; else, as for drafts and mails within a company, from the properties."""
    sent = email.parser.HeaderParser().parsestr(message.text(_HEADERS).lstrip())
    found = {name: decode_header(str(sent.get(name, ""))) for name in SHOWN_HEADERS}
    people = message.inside("recip")
    return {
        "Subject": message.text(_SUBJECT) or found["Subject"],
        "From": found["From"] or _person(message.text(*_FROM_NAMES), message.text(*_FROM_ADDRESSES)),
        "To": found["To"] or _recipients(people, "To") or message.text(_DISPLAY_TO),
        "Cc": found["Cc"] or _recipients(people, "Cc") or message.text(_DISPLAY_CC),
        "Date": found["Date"] or message.time(_SENT) or message.time(_DELIVERED),
    }


def _recipients(people: list[MsgObject], header: str) -> str:
    chosen = [person for person in people if person.number(_KIND) == _KIND_OF[header]]
    return ", ".join(_person(person.text(_NAME), person.text(*_ADDRESSES)) for person in chosen)


def _person(name: str, address: str) -> str:
    """Name and address; an address within Exchange (``/o=...``) tells nobody anything."""
    if "@" not in address or address == name:
        return name or address
    return f"{name} <{address}>" if name else address


def _body(message: MsgObject) -> str:
    """Plain text, which Outlook nearly always keeps; else HTML; else RTF."""
    if text := message.text(_BODY):
        return text
    html = message.binary(_HTML)
    if html is not None and html.strip():
        return visible_text(decode_declared(html, message.code_page))
    if markup := message.text(_HTML):
        return visible_text(markup)
    compressed = message.binary(_RTF)
    if not compressed:
        return ""
    return rtf.parse(decompress(compressed), "body.rtf")


def _attachment(attached: MsgObject, depth: int) -> Attachment:
    name = attached.text(_LONG_FILE_NAME, _FILE_NAME, _NAME)
    if (inner := attached.embedded()) is not None:
        mail = _mail(inner, depth + 1)
        content = mail.text().encode("utf-8", "replace")
        title = name or mail.headers.get("Subject", "")
        return Attachment(
            name=f"{title}.msg" if title else "", size_bytes=len(content), read=lambda: content, mail=mail
        )
    data = attached.binary(_DATA)
    if data is None:
        place = attached.text(_PATH)
        return Attachment(name=name or place, size_bytes=0, read=_elsewhere)
    return Attachment(name=name, size_bytes=len(data), read=lambda: data)


def _elsewhere() -> bytes:
    raise UnreadableError("the attachment is a link to a file; the mail does not hold it")
