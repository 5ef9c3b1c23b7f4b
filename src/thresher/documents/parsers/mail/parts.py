"""The parts of a MIME message: which are the body, which are attachments, and what they say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from email.message import Message

from thresher.documents.parsers.declared import decode_declared
from thresher.documents.parsers.html import visible_text
from thresher.documents.parsers.mail import structure
from thresher.documents.parsers.mail.flowed import unflow
from thresher.documents.parsers.mail.headers import decode_header
from thresher.documents.parsers.mail.mail import FORWARDED, SHOWN_HEADERS, Attachment, Mail
from thresher.documents.parsers.mail.transfer import decode_transfer, uuencoded_files
from thresher.errors import UnreadableError

#: Parts within parts, and mails within mails.
MAX_DEPTH = 50
_BOUNDARY_LINE = re.compile(r"^--(\S(?:.{0,68}\S)?)[ \t\r]*$", re.MULTILINE)
#: Shown by mail programs between the other text, unless it is marked as an attachment.
_SHOWN = ("text/plain", "text/html", "text/enriched", "text/rfc822-headers")
_EXTENSIONS = {"message/rfc822": ".eml", "text/html": ".html", "text/plain": ".txt", "text/calendar": ".ics"}


def from_message(message: Message, depth: int = 0) -> Mail:
    """A mail from its structure; ``depth`` counts the parts around it."""
    parts = Parts(depth)
    parts.add(message)
    shown: dict[str, list[str]] = {name: [] for name in SHOWN_HEADERS}
    for name, raw in message.raw_items():
        if (header := name.capitalize()) in shown and (value := decode_header(raw, parts.charset)):
            shown[header].append(value)
    return Mail(
        headers={name: ", ".join(values) for name, values in shown.items() if values},
        body="\n\n".join(block for block in parts.blocks if block.strip()) if parts.has_content else "",
        attachments=tuple(parts.attachments),
    )


class Parts:
    """Collects the text blocks and the attachments of a message."""

    def __init__(self, depth: int = 0) -> None:
        self.blocks: list[str] = []
        self.attachments: list[Attachment] = []
        self.charset: str | None = None  # of the first text that names one
        self.has_content = False  # whether anything stands in the parts at all
        self._depth = depth

    def add(self, part: Message) -> None:
        """Take up a part with all that is in it.

        Raises:
            UnreadableError: nested deeper than ``MAX_DEPTH``.
        """
        if self._depth > MAX_DEPTH:
            raise UnreadableError(f"mail nested more than {MAX_DEPTH} parts deep")
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global"):
            self._mail(part)
        elif kind == "message/delivery-status" and part.is_multipart():
            self.has_content = True
            self.blocks.append("\n\n".join(_header_lines(fields) for fields in structure.children(part)))
        elif part.get_content_maintype() == "multipart":
            self._several(part, kind)
        elif kind == "message/external-body":
            self._attach(part, lambda: b"\n".join(map(structure.source, structure.children(part))))
        elif part.is_multipart():  # message/partial and the like
            for child in structure.children(part):
                self._add_inside(child)
        elif structure.disposition(part) != "attachment" and (
            kind in _SHOWN or (kind.startswith("text/") and not structure.name(part))
        ):
            self._text(part, kind)
        else:
            self._attach(part, lambda: structure.payload(part))

    def _several(self, part: Message, kind: str) -> None:
        children = structure.children(part) or _by_real_boundary(part)
        if not children:
            self._text(part, "text/plain")
        elif kind == "multipart/alternative":
            self._alternative(children)
        else:
            for child in children:
                if kind != "multipart/related" or not _is_picture_of_page(child):
                    self._add_inside(child)

    def _add_inside(self, child: Message) -> None:
        self._depth += 1
        self.add(child)
        self._depth -= 1

    def _alternative(self, children: list[Message]) -> None:
        """Plain text if there is any, else the first that says something; the attachments of all.

        What has no name is the same in another form, and an attachment only where no form can be read.
        """
        blocks, attachments = self.blocks, self.attachments
        said: list[tuple[bool, list[str]]] = []
        other_forms: list[Attachment] = []
        for child in children:
            self.blocks, self.attachments = [], []
            self._add_inside(child)
            if any(block.strip() for block in self.blocks):
                said.append((child.get_content_type() != "text/plain", self.blocks))
            unnamed = not child.is_multipart() and not structure.name(child)
            (other_forms if unnamed else attachments).extend(self.attachments)
        self.blocks = blocks + min(said, default=(False, []), key=lambda form: form[0])[1]
        self.attachments = attachments if said else attachments + other_forms

    def _mail(self, part: Message) -> None:
        """A mail inside: it is both read with this one and an attachment."""
        inner = next(iter(structure.children(part)), None)
        source = structure.raw_payload(part) if inner is None else structure.source(inner)
        encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
        if inner is None or encoding in ("base64", "quoted-printable"):  # against RFC 2046, and common
            source = decode_transfer(source, encoding)
            inner = structure.parse_structure(source)
        mail = from_message(inner, self._depth + 1)
        self.blocks.append(f"{FORWARDED}\n{mail.text()}")
        subject = mail.headers.get("Subject", "")
        self._attach(part, lambda: source, default=f"{subject[:80]}.eml" if subject else "", mail=mail)

    def _text(self, part: Message, kind: str) -> None:
        try:
            data = structure.payload(part)
            self.has_content |= bool(data.strip())
            self.charset = self.charset or structure.parameter(part, "charset")
            if kind != "text/html" and b"begin" in data:
                data = self._take_out_files(data)
            self.blocks.append(_decoded(part, kind, data))
        except UnreadableError:  # binary data under a text's name
            self._attach(part, lambda: structure.payload(part))

    def _take_out_files(self, data: bytes) -> bytes:
        kept, at = [], 0
        for name, content, begin, end in uuencoded_files(data):
            kept.append(data[at:begin])
            at = end
            self.attachments.append(Attachment(name=name, size_bytes=len(content), read=_constant(content)))
        return b"".join([*kept, data[at:]])

    def _attach(self, part: Message, read: Callable[[], bytes], default: str = "", mail: Mail | None = None) -> None:
        name = structure.name(part) or default
        if not name and (extension := _EXTENSIONS.get(part.get_content_type())):
            name = f"attachment{extension}"
        self.has_content = True
        self.attachments.append(
            Attachment(name=name, size_bytes=structure.size(part), read=_translated(read), mail=mail)
        )


def _decoded(part: Message, kind: str, data: bytes) -> str:
    text = decode_declared(data, structure.parameter(part, "charset"), as_in_mail=True)
    if kind == "text/html":
        return visible_text(text)
    if kind == "text/enriched":
        return visible_text(text.replace("\n", "<br>"))
    if kind == "text/plain" and (structure.parameter(part, "format") or "").lower() == "flowed":
        return unflow(text, delete_space=(structure.parameter(part, "delsp") or "").lower() == "yes")
    return text


def _by_real_boundary(part: Message) -> list[Message]:
    """The parts of a message that names no boundary, or another one than it uses."""
    raw = structure.raw_payload(part)
    lines = _BOUNDARY_LINE.findall(raw.decode("ascii", "surrogateescape"))
    times = Counter(lines)
    boundary = next((line for line in lines if f"{line}--" in times or times[line] > 1), None)
    if boundary is None or '"' in boundary or "\\" in boundary:
        return []
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\n\n'.encode("ascii", "surrogateescape")
    return structure.children(structure.parse_structure(head + raw))


def _is_picture_of_page(part: Message) -> bool:
    """A picture that an HTML body shows, such as a logo; mail programs do not list it."""
    return (
        part.get_content_maintype() == "image" and "content-id" in part and structure.disposition(part) != "attachment"
    )


def _header_lines(fields: Message) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _translated(read: Callable[[], bytes]) -> Callable[[], bytes]:
    def read_translated() -> bytes:
        with structure.translated():
            return read()

    return read_translated
