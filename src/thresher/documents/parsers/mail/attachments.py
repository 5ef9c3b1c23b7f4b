"""The attachments of a mail, and of the mails attached to it: their addresses, names and bytes.

An address is the numbers, from 1, on the way down: ``(2, 1)`` is the first attachment of the mail that is the second
attachment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from thresher.documents.parsers.mail import eml, msg
from thresher.documents.parsers.mail.mail import Attachment, ListedAttachment, Mail
from thresher.documents.parsers.normalise import normalise
from thresher.documents.parsers.recognise import MAIL, MSG, recognise
from thresher.errors import UnreadableError

#: Attachments of mails attached deeper than this are not looked for.
MAX_MAILS_DEEP = 5
#: Attachments of one file that are listed, those of mails inside counted.
MAX_ATTACHMENTS = 10_000
_MAX_NAME_CHARACTERS = 200
#: No attachment is called so: a name has no slash.
_FURTHER = "/further attachments"
_READERS = {MAIL: eml.read, MSG: msg.read}


def read_mail(data: bytes, name: str) -> Mail | None:
    """The mail in a file's bytes, None where it is none that can be read."""
    try:
        media_type = recognise(data, name)
        return _READERS[media_type](data) if media_type in _READERS else None
    except UnreadableError:
        return None


def list_attachments(mail: Mail) -> list[ListedAttachment]:
    """All attachments, depth first, those of attached mails behind the mail they are of.

    What is over a limit ends as one entry with a problem that says so.
    """
    found: list[ListedAttachment] = []
    for listed in _walk(mail, (), ""):
        if len(found) == MAX_ATTACHMENTS:
            problem = f"more than {MAX_ATTACHMENTS:,} attachments in one mail; these are not read"
            found.append(ListedAttachment(address=(0,), name=_FURTHER, size_bytes=0, problem=problem))
            break
        found.append(listed)
    return found


class OpenMail:
    """A mail, and those attached on the way down to the attachment asked for last: the next is likely beside it."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self._inside: dict[tuple[int, ...], Mail | None] = {}

    def attachment(self, address: Sequence[int]) -> Attachment:
        """The attachment at an address.

        Raises:
            UnreadableError: the file has changed: there is none.
        """
        way = [tuple(address[:steps]) for steps in range(1, len(address))]
        self._inside = {above: mail for above, mail in self._inside.items() if above in way}
        inside: Mail | None = self.mail
        for above in way:
            if above not in self._inside:
                self._inside[above] = _mail_in(_numbered(inside, above[-1]))
            inside = self._inside[above]
        return _numbered(inside, address[-1])


def _numbered(mail: Mail | None, number: int) -> Attachment:
    if mail is None or not 1 <= number <= len(mail.attachments):
        raise UnreadableError("the mail has changed since its attachments were listed")
    return mail.attachments[number - 1]


def file_name(attachment: Attachment, number: int) -> str:
    """A name that can be part of a document's id: one line, no slash, not empty."""
    name = " ".join(normalise(attachment.name).replace("/", "_").replace("\\", "_").split())
    if len(name) > _MAX_NAME_CHARACTERS:
        stem, dot, extension = name.rpartition(".")
        kept = f"{dot}{extension}" if stem and len(extension) <= 10 else ""
        name = name[: _MAX_NAME_CHARACTERS - len(kept)] + kept
    return name if name.strip(".") else f"attachment-{number}"


def _walk(mail: Mail, above: tuple[int, ...], prefix: str) -> Iterator[ListedAttachment]:
    taken: dict[str, int] = {}
    for number, attachment in enumerate(mail.attachments, 1):
        name = _unused(file_name(attachment, number), taken)
        address = (*above, number)
        size = attachment.size_bytes
        if len(above) >= MAX_MAILS_DEEP:
            problem = f"attached more than {MAX_MAILS_DEEP} mails deep; not read"
            yield ListedAttachment(address=address, name=prefix + name, size_bytes=size, problem=problem)
            continue
        yield ListedAttachment(address=address, name=prefix + name, size_bytes=size)
        inside = _mail_in(attachment)
        if inside is not None:
            yield from _walk(inside, address, f"{prefix}{name}/")


def _mail_in(attachment: Attachment) -> Mail | None:
    if attachment.mail is not None:
        return attachment.mail
    try:
        data = attachment.read()
    except UnreadableError:
        return None
    return read_mail(data, attachment.name)


def _unused(name: str, taken: dict[str, int]) -> str:
    """The name, numbered where an attachment of the same mail has it; ``taken`` counts how often each was asked for."""
    stem, dot, extension = name.rpartition(".")
    candidate = name
    while candidate in taken:
        taken[name] += 1
        candidate = f"{stem} ({taken[name]}).{extension}" if stem and dot else f"{name} ({taken[name]})"
    taken[candidate] = 1
    return candidate
