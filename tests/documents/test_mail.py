"""Internet mail: what a person sees of it is what the text says, however it was encoded or broken."""

from __future__ import annotations

import base64
import contextlib
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mail_files import eml, raw_mail
from thresher.documents.parsers.mail import eml as parser
from thresher.documents.parsers.mail.flowed import unflow
from thresher.documents.parsers.mail.headers import decode_words
from thresher.documents.parsers.mail.transfer import decode_base64
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError


def text(data: bytes) -> str:
    return parser.parse(data, "a.eml")


def names(data: bytes) -> list[str]:
    return [attachment.name for attachment in parser.read(data).attachments]


def multipart(*parts: str, kind: str = "mixed") -> bytes:
    body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
    return raw_mail(f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="b"', body.encode())


def test_headers_then_the_body() -> None:
    data = eml("Größe und Preis", "Guten Tag\n", Cc="Carl <c@example.org>", Date="Tue, 24 Nov 2026 10:00:00 +0000")
    assert text(data) == (
        "Subject: Größe und Preis\nFrom: Ann <ann@example.org>\nTo: bob@example.org\nCc: Carl <c@example.org>\n"
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\n\nGuten Tag"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?q?Gr=C3=B6=C3=9Fe?=", "Größe"),
        ("=?UTF-8?B?R3LDtsOfZQ==?=", "Größe"),
        ("=?iso-8859-1?Q?caf=E9?= and more", "café and more"),
        ("=?utf-8?b?R3LD?= =?utf-8?b?tsOfZQ==?=", "Größe"),  # a character cut in two
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8*de?q?ja?=", "ja"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?no-such-charset?q?caf=C3=A9?=", "café"),
        ("=?utf-8?b?R3LDtsOfZQ?=", "Größe"),  # padding lost
        ("=?utf-8?q?broken", "=?utf-8?q?broken"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("no words = ? at all", "no words = ? at all"),
    ],
)
def test_encoded_words(value: str, expected: str) -> None:
    assert decode_words(value) == expected
    assert f"Subject: {expected}" in text(raw_mail(f"Subject: {value}"))


def test_bytes_above_ascii_in_headers_are_in_the_charset_of_the_body() -> None:
    for charset, word in {
        "utf-8": "Grüße",
        "windows-1251": "Привет",
        "big5": "電腦",
        "shift_jis": "こんにちは",
    }.items():
        head = b"From: a@example.org\r\nSubject: " + word.encode(charset)
        body = f"\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode() + word.encode(charset)
        assert text(head + body) == f"Subject: {word}\nFrom: a@example.org\n\n{word}"


@pytest.mark.parametrize(
    ("charset", "word"),
    [
        ("iso-8859-1", "déjà vu"),
        ("windows-1252", "“quoted” – 5 €"),
        ("koi8-r", "Договор аренды"),
        ("windows-1251", "Договор аренды"),
        ("iso-8859-2", "žluťoučký kůň"),
        ("shift_jis", "請求書をお送りします"),
        ("iso-2022-jp", "請求書をお送りします"),
        ("euc-jp", "請求書をお送りします"),
        ("gb2312", "合同编号"),
        ("gb18030", "合同编号"),
        ("hz", "合同编号"),
        ("big5", "合約編號"),
        ("euc-kr", "계약서를 보냅니다"),
        ("utf-7", "Grüße aus Köln"),
        ("utf-16", "Grüße aus Köln"),
        ("utf-16-be", "Grüße aus Köln"),
        ("utf-32-le", "Grüße aus Köln"),
        ("tis-620", "สัญญาเช่า"),
        ("windows-1256", "عقد إيجار"),
    ],
)
def test_bodies_in_every_charset(charset: str, word: str) -> None:
    encoded = base64.encodebytes(word.encode(charset))
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64"
    assert text(raw_mail(head, encoded)).endswith(f"\n\n{word}")


@pytest.mark.parametrize("label", ["utf-8", "us-ascii", "x-unknown", "zlib", "idna", "unicode_escape", "a\0b", '"'])
def test_a_wrong_or_unknown_charset_is_passed_over(label: str) -> None:
    body = "Die Straße führt über die Brücke.\r\n"
    for encoding in ("cp1252", "utf-8"):
        data = raw_mail(
            f"Content-Type: text/plain; charset={label}\nContent-Transfer-Encoding: 8bit", body.encode(encoding)
        )
        assert "Die Straße führt über die Brücke." in text(data)


def test_plain_text_is_preferred_and_html_is_read() -> None:
    html = "Content-Type: text/html\r\n\r\n<p>formatted</p><script>no</script>"
    assert "plain words" in text(multipart(html, "Content-Type: text/plain\r\n\r\nplain words", kind="alternative"))
    assert "formatted" not in text(multipart(html, "Content-Type: text/plain\r\n\r\nplain words", kind="alternative"))
    alone = text(multipart(html, "Content-Type: text/plain\r\n\r\n \r\n", kind="alternative"))
    assert alone.endswith("\n\nformatted")


def test_other_forms_of_a_text_are_no_attachments() -> None:
    calendar = "Content-Type: application/ics\r\n\r\nBEGIN:VCALENDAR"
    assert names(multipart(calendar, "Content-Type: text/plain\r\n\r\nplain words", kind="alternative")) == []
    assert len(names(multipart(calendar, kind="alternative"))) == 1


def test_mixed_parts_are_all_read_and_attachments_named() -> None:
    data = multipart(
        "Content-Type: text/plain\r\n\r\nfirst",
        "Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nx",
        "Content-Type: text/plain\r\nContent-Disposition: inline; filename=b.txt\r\n\r\nsecond",
        "Content-Type: text/plain\r\nContent-Disposition: attachment; filename*=utf-8''%C3%BCber.txt\r\n\r\nhidden",
    )
    assert names(data) == ["a.pdf", "über.txt"]
    assert text(data).endswith("Attachments: a.pdf, über.txt\n\nfirst\n\nsecond")


def test_pictures_that_a_page_shows_are_no_attachments() -> None:
    page = 'Content-Type: text/html\r\n\r\n<p>see <img src="cid:1"></p>'
    logo = "Content-Type: image/png; name=logo.png\r\nContent-ID: <1>\r\n\r\nx"
    photo = "Content-Type: image/png; name=photo.png\r\nContent-ID: <2>\r\nContent-Disposition: attachment\r\n\r\nx"
    assert names(multipart(page, logo, photo, kind="related")) == ["photo.png"]


def test_a_forwarded_mail_is_read_inside_and_attached() -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "The original", "carl@example.org"
    inner.set_content("What was first said.\n")
    outer = EmailMessage()
    outer["Subject"], outer["From"] = "Fwd", "ann@example.org"
    outer.set_content("See below.\n")
    outer.add_attachment(inner)
    said = text(outer.as_bytes())
    assert said.index("See below.") < said.index("Forwarded message") < said.index("Subject: The original")
    assert "What was first said." in said
    assert names(outer.as_bytes()) == ["The original.eml"]
    encoded = base64.encodebytes(inner.as_bytes()).decode()
    wrapped = f"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}"
    assert "What was first said." in text(multipart(wrapped))
    assert parser.read(multipart(wrapped)).attachments[0].read() == inner.as_bytes()


def test_delivery_reports_say_what_failed() -> None:
    status = (
        "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    )
    assert "Status: 5.1.1" in text(multipart("Content-Type: text/plain\r\n\r\nsorry", status, kind="report"))


def test_uuencoded_files_in_a_text_become_attachments() -> None:
    body = b"See the file.\r\nbegin 644 note.txt\r\n+:&5L;&\\@=V]R;&0\r\n`\r\nend\r\nBye\r\n"
    mail = parser.read(raw_mail("Subject: s", body))
    assert [(found.name, found.read()) for found in mail.attachments] == [("note.txt", b"hello world")]
    assert "See the file." in mail.body
    assert "Bye" in mail.body
    assert "644" not in mail.body


@pytest.mark.parametrize(
    ("sent", "delete_space", "expected"),
    [
        ("one \ntwo \nthree\nfour", False, "one two three\nfour"),
        ("one \ntwo", True, "onetwo"),
        ("> one \n> two\nthree", False, "> one two\nthree"),
        ("one \n> two", False, "one \n> two"),
        ("text \n-- \nname", False, "text \n-- \nname"),
        (" From the start", False, "From the start"),
        (">> a \n>> b", False, "> > a b"),
    ],
)
def test_flowed_text_is_joined(sent: str, delete_space: bool, expected: str) -> None:
    assert unflow(sent, delete_space=delete_space) == expected


def test_flowed_is_only_what_says_so() -> None:
    body = b"one \r\ntwo\r\n"
    assert "one two" in text(raw_mail('Content-Type: text/plain; format="flowed"', body))
    assert "one \r\ntwo" in text(raw_mail("Content-Type: text/plain", body))


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: multipart/mixed",  # no boundary
        "Content-Type: multipart/mixed; boundary=other",  # another one than is used
        'Content-Type: multipart/mixed\n\tboundary="b"',  # a semicolon forgotten
    ],
)
def test_a_wrong_boundary_is_found_out(head: str) -> None:
    body = (
        b"--b\r\nContent-Type: text/html\r\n\r\n<b>said</b>\r\n--b\r\nContent-Type: text/plain\r\n\r\nmore\r\n--b--\r\n"
    )
    assert text(raw_mail(head, body)).endswith("\n\nsaid\n\nmore")


def test_parts_that_cannot_be_told_apart_are_shown_as_they_are() -> None:
    body = b"--a--\r\nContent-Type: text/plain\r\n\r\nthe words\r\n--a----\r\n"
    assert "the words" in text(raw_mail('Content-Type: multipart/mixed; boundary="a--"', body))


def test_a_text_without_headers_is_a_text() -> None:
    assert text(b"Just words.\nNote: no mail.\n") == "Just words.\nNote: no mail."


def test_a_mailbox_of_several_mails_says_so() -> None:
    one = b"From ann@example.org Tue Nov 24 10:00:00 2026\nFrom: ann@example.org\nSubject: s\n\nbody\n\n"
    assert "body" in text(one)
    with pytest.raises(UnreadableError, match="mailbox file.*split it"):
        text(one * 2)


def test_mails_are_recognised_without_an_extension() -> None:
    assert parse_document(eml(Date="Tue, 24 Nov 2026 10:00:00 +0000"), "1764.M1P2:2,S")[0] == "message/rfc822"
    assert parse_document(b"Title: x\nAuthor: y\nDate: 2026\n\nwords", "notes.txt")[0] == "text/plain"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"aGVsbG8=", b"hello"),
        (b"aGVsbG8", b"hello"),
        (b"aGVs\r\nbG8=\r\n", b"hello"),
        (b"aGVsbG8=aGVsbG8=", b"hellohello"),
        (b"aGVsbG8=\n____\nlist footer, not base64!\n", b"hello____\nlist footer, not base64!\n"),
        (b"not base64 at all!", b"not base64 at all!"),
        (b"", b""),
        (b"a", b""),
    ],
)
def test_base64_as_it_arrives(data: bytes, expected: bytes) -> None:
    assert decode_base64(data) == expected


@given(st.binary(max_size=2000))
def test_base64_of_anything_comes_back(data: bytes) -> None:
    assert decode_base64(base64.encodebytes(data)) == data


@given(head=st.text(max_size=300), body=st.binary(max_size=300))
def test_anything_is_read_or_refused(head: str, body: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        assert isinstance(text(raw_mail(head, body)), str)


def test_a_header_without_end_is_cut_and_shows_it() -> None:
    said = text(raw_mail("Cc: " + ", ".join(f"person{n}@example.org" for n in range(5_000))))
    assert " [...]\n" in said
    assert len(said) < 21_000


def test_many_lines_like_boundaries_take_no_time() -> None:
    body = b"".join(b"--x%d\r\n" % n for n in range(100_000))
    assert "--x99999" in text(raw_mail("Content-Type: multipart/mixed", body))


def test_deep_nesting_is_refused() -> None:
    def nested(depth: int) -> bytes:
        opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
        return raw_mail(
            "Subject: deep\nMIME-Version: 1.0\n" + opened.split("\r\n")[0],
            opened.encode()[len(opened.split("\r\n")[0]) + 4 :],
        )

    assert "Subject: deep" in text(nested(20))
    for depth in (100, 5_000):
        with pytest.raises(UnreadableError, match="nested"):
            text(nested(depth))


def test_real_mails_are_all_read(shared_data: Path) -> None:
    files = sorted((shared_data / "office" / "eml").rglob("*.eml"))
    assert len(files) > 200
    for file in files:
        mail = parser.read(file.read_bytes())
        assert mail.text().strip(), file
        assert (
            "\N{REPLACEMENT CHARACTER}" not in mail.headers.get("Subject", "") or b"\xef\xbf\xbd" in file.read_bytes()
        )
        for attachment in mail.attachments:
            attachment.read()
