"""A mail as a value, and the text a model reads of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: The headers that are shown, in this order.
SHOWN_HEADERS = ("Subject", "From", "To", "Cc", "Date")
#: Stands above a mail within a body.
FORWARDED = "---------- Forwarded message ----------"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attachment; its bytes are decoded when they are asked for."""

    name: str  # as the mail gives it; may be empty, and may hold anything
    size_bytes: int  # about
    read: Callable[[], bytes]  # raises UnreadableError where there are no bytes
    mail: Mail | None = None  # where the parser knows it to be one


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a person sees of a mail."""

    headers: Mapping[str, str] = field(default_factory=dict)  # of SHOWN_HEADERS, those with a value, decoded
    body: str = ""  # plain text; mails forwarded inside stand in it
    attachments: tuple[Attachment, ...] = ()

    def text(self) -> str:
        """Headers, names of attachments, and the body."""
        lines = [f"{name}: {self.headers[name]}" for name in SHOWN_HEADERS if self.headers.get(name)]
        names = [shown_name(attachment.name) for attachment in self.attachments]
        if names:
            lines.append(f"Attachments: {', '.join(names)}")
        return "\n".join(lines) + ("\n\n" if lines and self.body.strip() else "") + self.body.strip("\r\n")


def shown_name(name: str) -> str:
    """The name of an attachment on one line."""
    return " ".join(name.split()) or "(no name)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAttachment:
    """One attachment of a mail, or of a mail attached to it, found but not read."""

    address: tuple[int, ...]  # (2, 1): the first attachment of the mail that is the second attachment
    name: str  # names on the way down, parted by "/"; no other attachment of the mail has it
    size_bytes: int  # about
    problem: str | None = None  # why it is not to be read
