"""Attachments as documents: listed by the pool, named the same each time, read one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.document_files import docx, paragraph, pdf
from tests.support.mail_files import eml, msg_mail
from thresher.documents import Item, ReaderPool, discover, with_attachments
from thresher.documents.parsers.mail.attachments import MAX_ATTACHMENTS, MAX_MAILS_DEEP, file_name, list_attachments
from thresher.documents.parsers.mail.mail import Attachment, Mail


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(2) as shared:
        yield shared


def ids(items: list[Item]) -> list[str]:
    return [item.document_id for item in items]


def expand(folder: Path, pool: ReaderPool) -> list[Item]:
    return list(with_attachments(discover([folder]), pool))


def test_each_attachment_is_a_document_behind_its_mail(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(
        eml(attached=[("rent.pdf", pdf(["the rent"])), ("note.docx", docx(paragraph("the note")))])
    )
    (tmp_path / "b.msg").write_bytes(msg_mail(attached=[("rent.pdf", pdf(["outlook rent"]))]))
    (tmp_path / "c.txt").write_text("no mail")
    items = expand(tmp_path, pool)
    assert ids(items) == ["a.eml", "a.eml/rent.pdf", "a.eml/note.docx", "b.msg", "b.msg/rent.pdf", "c.txt"]
    assert [item.source for item in items[1:3]] == [f"{tmp_path}/a.eml#attachment 1", f"{tmp_path}/a.eml#attachment 2"]
    results = [pool.submit(item.path or Path(), item.address).result() for item in items]
    texts = [result.text or "" for result in results]
    assert texts[1:3] == ["the rent", "the note"]
    assert texts[4] == "outlook rent"
    assert "Attachments: rent.pdf, note.docx" in texts[0]
    assert results[1].content_sha256 == hashlib.sha256(pdf(["the rent"])).hexdigest()


def test_without_the_step_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(eml(attached=[("rent.pdf", b"x")]))
    assert ids(list(discover([tmp_path]))) == ["a.eml"]


def test_names_are_made_unique_and_the_same_each_time(pool: ReaderPool, tmp_path: Path) -> None:
    given = ["a.pdf", "a.pdf", "a (2).pdf", "a.pdf", "../up.pdf", "x/y\\z.pdf", "", ".", "n" * 300 + ".pdf"]
    (tmp_path / "m.eml").write_bytes(eml(attached=[(name, b"x") for name in given]))
    first, second = expand(tmp_path, pool), expand(tmp_path, pool)
    assert first == second
    found = [name.removeprefix("m.eml/") for name in ids(first)[1:]]
    assert found[:6] == ["a.pdf", "a (2).pdf", "a (2) (2).pdf", "a (3).pdf", ".._up.pdf", "x_y_z.pdf"]
    assert found[6:8] == ["attachment-7", "attachment-8"]
    assert found[8] == "n" * 196 + ".pdf"
    assert len(set(found)) == len(found)


def test_mails_attached_to_mails(pool: ReaderPool, tmp_path: Path) -> None:
    middle = eml("Middle", "in the middle", [("deep.pdf", pdf(["deep down"]))])
    (tmp_path / "outer.eml").write_bytes(
        eml("Outer", attached=[("middle.eml", middle), ("last.msg", msg_mail("Last"))])
    )
    items = expand(tmp_path, pool)
    assert ids(items) == [
        "outer.eml", "outer.eml/middle.eml", "outer.eml/middle.eml/deep.pdf", "outer.eml/last.msg"
    ]  # fmt: skip
    assert items[2].source.endswith("outer.eml#attachment 1.1")
    assert pool.submit(items[2].path or Path(), items[2].address).result().text == "deep down"
    assert "in the middle" in (pool.submit(items[1].path or Path(), items[1].address).result().text or "")


def test_many_attachments_of_an_attached_mail(pool: ReaderPool, tmp_path: Path) -> None:
    """The inner mail is parsed once for all that are asked for in a row, not once for each."""
    inner = eml(attached=[("same.pdf", pdf([f"number {n}"])) for n in range(400)] + [("big.pdf", bytes(2_000_000))])
    (tmp_path / "m.eml").write_bytes(eml(attached=[("inner.eml", inner)]))
    items = expand(tmp_path, pool)
    futures = [pool.submit(item.path or Path(), item.address) for item in items[2:402]]
    assert [future.result(timeout=60).text for future in futures] == [f"number {n}" for n in range(400)]


def test_the_depth_is_limited_and_the_limit_is_a_row(pool: ReaderPool, tmp_path: Path) -> None:
    mail = eml("innermost", attached=[("a.pdf", b"x")])
    for depth in range(20):
        mail = eml(f"level {depth}", attached=[("inner.eml", mail)])
    (tmp_path / "m.eml").write_bytes(mail)
    items = expand(tmp_path, pool)
    assert len(items) == MAX_MAILS_DEEP + 2
    assert items[-1].problem == f"attached more than {MAX_MAILS_DEEP} mails deep; not read"
    assert all(item.problem is None for item in items[:-1])


def test_a_thousand_attachments(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(eml(attached=[("same.pdf", pdf([f"number {n}"])) for n in range(1_000)]))
    items = expand(tmp_path, pool)
    assert len(set(ids(items))) == 1_001
    futures = [pool.submit(item.path or Path(), item.address) for item in items[1:]]
    assert [future.result(timeout=60).text for future in futures] == [f"number {n}" for n in range(1_000)]


def test_too_many_attachments_end_in_one_row_that_says_so() -> None:
    mail = Mail(
        attachments=tuple(Attachment(name="a", size_bytes=1, read=lambda: b"x") for _ in range(MAX_ATTACHMENTS + 5))
    )
    found = list_attachments(mail)
    assert len(found) == MAX_ATTACHMENTS + 1
    assert found[-1].problem == "more than 10,000 attachments in one mail; these are not read"


def test_what_cannot_be_read_has_its_reason(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(
        eml(attached=[("a.zip", b"PK\5\6" + bytes(18)), ("empty.pdf", b""), ("b.pdf", b"%PDF-")])
    )
    items = expand(tmp_path, pool)
    results = [pool.submit(item.path or Path(), item.address).result() for item in items[1:]]
    reasons = [result.failure.reason if result.failure else None for result in results]
    assert reasons == ["zip archive files are not supported", "the file is empty", "broken PDF (a cut file?)"]


def test_a_mail_that_changed_meanwhile(pool: ReaderPool, tmp_path: Path) -> None:
    path = tmp_path / "m.eml"
    path.write_bytes(eml(attached=[("a.pdf", b"x"), ("b.pdf", b"y")]))
    last = expand(tmp_path, pool)[-1]
    path.write_bytes(eml())
    result = pool.submit(path, last.address).result()
    assert result.failure is not None
    assert result.failure.reason == "the mail has changed since its attachments were listed"
    path.unlink()
    assert "cannot be opened" in str(pool.submit(path, last.address).result().failure)


def test_mails_are_found_by_content_too(pool: ReaderPool, tmp_path: Path) -> None:
    dated = eml(attached=[("a.pdf", b"x")], Date="Tue, 24 Nov 2026 10:00:00 +0000")
    (tmp_path / "1764.host:2,S").write_bytes(dated)
    (tmp_path / "wrong.txt").write_bytes(msg_mail(attached=[("a.pdf", b"x")]))
    assert len(expand(tmp_path, pool)) == 4


def test_files_that_cannot_be_opened_are_left_to_reading(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "link.eml").symlink_to("/nowhere")
    (tmp_path / "broken.msg").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and no more")
    (tmp_path / "gone.eml").write_bytes(eml())
    items = list(discover([tmp_path]))
    (tmp_path / "gone.eml").unlink()
    assert ids(list(with_attachments(items, pool))) == ["broken.msg", "gone.eml", "link.eml"]


def test_only_a_few_files_are_looked_into_ahead(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(eml())
    taken = 0

    def endless() -> Iterator[Item]:
        nonlocal taken
        item = next(discover([tmp_path]))
        while True:
            taken += 1
            yield item

    expanded = with_attachments(endless(), pool)
    for _ in range(10):
        next(expanded)
    assert taken < 100


def test_a_listing_that_ends_badly_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(eml("x", "word " * 4_000_000))
    with ReaderPool(1, memory_limit_bytes=16 * 1024**2) as small:
        items = expand(tmp_path, small)
    assert ids(items) == ["m.eml", "m.eml/attachments"]
    assert "cannot be listed: needs more than 16 MiB" in (items[1].problem or "")


@pytest.mark.parametrize("name", ["a/b", "\0", "  ", "..", "x\r\ny", "\ud800", "é" * 500])
def test_file_names_are_safe(name: str) -> None:
    safe = file_name(Attachment(name=name, size_bytes=0, read=lambda: b""), 3)
    assert safe.strip(". ")
    assert len(safe) <= 200
    assert not set(safe) & set("/\\\0\r\n")
    safe.encode()


def test_an_attached_mail_keeps_its_bytes(pool: ReaderPool, tmp_path: Path) -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "Größe", "carl@example.org"
    inner.set_content("What was first said.\n")
    outer = EmailMessage()
    outer["From"] = "ann@example.org"
    outer.set_content("See below.\n")
    outer.add_attachment(inner)
    (tmp_path / "m.eml").write_bytes(outer.as_bytes())
    items = expand(tmp_path, pool)
    assert ids(items)[1] == "m.eml/Größe.eml"
    result = pool.submit(items[1].path or Path(), items[1].address).result()
    assert result.content_sha256 == hashlib.sha256(inner.as_bytes()).hexdigest()
