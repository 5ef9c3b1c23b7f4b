"""Outlook's MSG files."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from tests.support.mail_files import msg, msg_mail, msg_object
from tests.support.ole_files import ole_file
from thresher.documents.parsers.mail import msg as parser
from thresher.documents.parsers.mail.compressed_rtf import decompress
from thresher.documents.parsers.recognise import recognise
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError

#: The examples of MS-OXRTFCP 3.1: what is compressed, and into what.
RTF = {
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0": (
        b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    ),
    "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0": b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}",
}
SUBJECT, BODY, HTML, RTF_BODY, HEADERS = 0x0037, 0x1000, 0x1013, 0x1009, 0x007D


@pytest.mark.parametrize("compressed", RTF)
def test_compressed_rtf_as_its_specification_has_it(compressed: str) -> None:
    assert decompress(bytes.fromhex(compressed)) == RTF[compressed]


def test_compressed_rtf_that_is_cut_or_is_none() -> None:
    data = bytes.fromhex(next(iter(RTF)))
    for cut in range(16, len(data)):
        assert next(iter(RTF.values())).startswith(decompress(data[:cut]))
    for wrong in (b"", b"short", b"\0" * 32, data[:4] + b"\xff\xff\xff\xff" + data[8:]):
        with pytest.raises(UnreadableError, match="compressed RTF"):
            decompress(wrong)


def test_headers_body_and_attachments() -> None:
    mail = parser.read(
        msg_mail("Miete für März", "Die Miete ist fällig.\r\n", [("größe.pdf", b"x"), ("b.txt", b"y" * 9000)])
    )
    assert mail.text() == (
        "Subject: Miete für März\nFrom: Ann <ann@example.org>\nTo: Bob\nAttachments: größe.pdf, b.txt\n\n"
        "Die Miete ist fällig."
    )
    assert [attachment.read() for attachment in mail.attachments] == [b"x", b"y" * 9000]


def test_the_headers_as_sent_win() -> None:
    sent = "From: =?utf-8?q?J=C3=B6rg?= <j@example.org>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    said = parser.parse(msg({SUBJECT: "s", HEADERS: sent, 0x0C1A: "Other", BODY: "b"}), "a.msg")
    assert "From: Jörg <j@example.org>\nDate: Tue, 24 Nov 2026 10:00:00 +0000" in said


def test_recipients_by_kind() -> None:
    people = {
        f"__recip_version1.0_#{n:08X}": msg_object(
            {0x3001: name, 0x39FE: f"{name}@example.org"}, {0x0C15: kind}, head=8
        )
        for n, (name, kind) in enumerate([("bob", 1), ("carl", 2), ("dora", 1)])
    }
    said = parser.parse(msg({SUBJECT: "s", BODY: "b"}, people), "a.msg")
    assert "To: bob <bob@example.org>, dora <dora@example.org>\nCc: carl <carl@example.org>" in said


def test_bodies_in_html_and_in_rtf_only() -> None:
    html = "<html><body><p>Grüße</p></body></html>".encode("cp1252")
    assert parser.parse(msg({SUBJECT: "s", HTML: html}, numbers={0x3FDE: 1252}), "a.msg").endswith("Grüße")
    assert "hello world" in parser.parse(msg({SUBJECT: "s", RTF_BODY: bytes.fromhex(next(iter(RTF)))}), "a.msg")


def test_a_message_inside_is_read_and_is_an_attachment() -> None:
    inner = msg_object({SUBJECT: "Inner", BODY: "what was said first"}, head=24)
    attached = msg_object({0x3001: "Inner"}, {0x3705: 5}, head=8) | {"__substg1.0_3701000D": inner}
    mail = parser.read(msg({SUBJECT: "Outer", BODY: "see below"}, {"__attach_version1.0_#00000000": attached}))
    assert mail.body.index("see below") < mail.body.index("what was said first")
    assert [attachment.name for attachment in mail.attachments] == ["Inner.msg"]


def test_a_link_is_no_content() -> None:
    link = msg_object({0x3707: "plan.doc", 0x370D: "\\\\server\\plan.doc"}, {0x3705: 2}, head=8)
    mail = parser.read(msg({SUBJECT: "s", BODY: "b"}, {"__attach_version1.0_#00000000": link}))
    with pytest.raises(UnreadableError, match="a link to a file"):
        mail.attachments[0].read()


def test_broken_ones_have_a_reason() -> None:
    data = bytearray(msg_mail("s", "b", [("a.bin", bytes(5000))]))
    source = random.Random(3)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(source.randrange(1, 30)):
            broken[source.randrange(8, len(broken))] = source.randrange(256)
        with contextlib.suppress(UnreadableError):
            assert isinstance(parser.parse(bytes(broken), "a.msg"), str)
    with pytest.raises(UnreadableError, match="Outlook mail"):
        parser.parse(bytes(data[:700]), "a.msg")


def test_a_container_that_holds_a_message_is_none() -> None:
    word = ole_file({"WordDocument": b"x", "ObjectPool": msg_object({SUBJECT: "inside"})})
    assert recognise(word, "a.doc") == "application/msword"
    assert parse_document(msg_mail(attached=[("a.doc", word)]), "a.doc")[0] == "application/vnd.ms-outlook"


def test_a_real_one(shared_data: Path) -> None:
    file = next((shared_data / "office" / "markitdown").rglob("*.msg"))
    media_type, text = parse_document(file.read_bytes(), file.name)
    assert media_type == "application/vnd.ms-outlook"
    assert text.startswith("Subject: Test Email Message\nFrom: M. C. Kurtuluş <")
