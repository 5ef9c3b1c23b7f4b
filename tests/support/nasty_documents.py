"""Documents that nobody would write and everybody receives, each with what must become of it.

A family of formats adds its cases as one more tuple, and the tuple to :data:`NASTY`.
"""

from __future__ import annotations

import base64
import io
import os
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.document_files import bitmap_pdf, docx, html, paragraph, pdf, word_part
from tests.support.mail_files import eml, msg_mail, raw_mail
from tests.support.ole_files import ole_file

_NOISE = random.Random(11)


@dataclass(frozen=True, kw_only=True)
class Nasty:
    """One file, and its one outcome: a text that holds ``says``, or a reason that matches ``reason``."""

    name: str  # of the file; also names the case
    data: bytes | Callable[[], bytes] = b""
    make: Callable[[Path], object] | None = None  # for what is more than bytes in a file
    says: str | None = None
    reason: str | None = None

    def write(self, folder: Path) -> None:
        """Put it into a folder."""
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(self.name)))
        if self.make is not None:
            self.make(path)
        else:
            path.write_bytes(self.data if isinstance(self.data, bytes) else self.data())


_GERMAN = "Die Kündigung ist fristgemäß eingegangen. Über die Rückzahlung der Kaution wird später entschieden.\n"
_RUSSIAN = "Договор аренды помещения заключён сроком на один год. Арендатор обязуется вносить плату ежемесячно.\n"
_JAPANESE = "請求書をお送りします。お支払いは今月末までにお願いいたします。ご不明な点がございましたらご連絡ください。\n"
_CHINESE = "合同编号如下。甲方应在每月十日之前向乙方支付租金，逾期按日计算违约金。双方签字盖章后生效。\n"
_TAIWANESE = "合約編號如下。甲方應於每月十日之前向乙方支付租金，逾期按日計算違約金。雙方簽字蓋章後生效。\n"
_KOREAN = "계약서를 보내드립니다. 임차인은 매월 십일까지 임대료를 지불하여야 합니다. 감사합니다.\n"
_CZECH = "Smlouva o nájmu bytu byla uzavřena na dobu určitou. Příští schůzka proběhne ve čtvrtek v kanceláři.\n"


def _encoded(encoding: str, text: str, mark: bytes = b"", *, as_extension: str = "txt") -> Nasty:
    data = mark + (text * 3).encode(encoding)
    return Nasty(name=f"{encoding}{'-marked' if mark else ''}.{as_extension}", data=data, says=text.split(".")[0])


ENCODINGS = (
    _encoded("cp1252", _GERMAN),
    _encoded("cp850", _GERMAN),
    _encoded("cp437", _GERMAN),
    _encoded("iso8859-15", _GERMAN),
    _encoded("cp1250", _CZECH),
    _encoded("iso8859-2", _CZECH),
    _encoded("koi8-r", _RUSSIAN),
    _encoded("cp1251", _RUSSIAN),
    _encoded("cp866", _RUSSIAN),
    _encoded("iso8859-5", _RUSSIAN),
    _encoded("shift-jis", _JAPANESE),
    _encoded("euc-jp", _JAPANESE),
    _encoded("iso2022-jp", _JAPANESE),
    _encoded("gb18030", _CHINESE),
    _encoded("big5", _TAIWANESE),
    _encoded("euc-kr", _KOREAN),
    _encoded("utf-8", _GERMAN, b"\xef\xbb\xbf"),
    _encoded("utf-16-le", _GERMAN),
    _encoded("utf-16-be", _GERMAN),
    _encoded("utf-16-le", _GERMAN, b"\xff\xfe"),
    _encoded("utf-16-be", _GERMAN, b"\xfe\xff"),
    _encoded("utf-32-le", _GERMAN),
    _encoded("utf-32-be", _GERMAN),
    _encoded("utf-32-le", _GERMAN, b"\xff\xfe\0\0"),
    Nasty(name="utf-7.txt", data=_GERMAN.encode("utf-7"), says="Die K+APw-ndigung"),  # no file says that it is UTF-7
    Nasty(name="mixed.txt", data=b"caf\xc3\xa9 and caf\xe9 " + "größe ".encode() * 40, says="café and café größe"),
    Nasty(name="surrogates.txt", data=b"lone \xed\xa0\x80 surrogate", says="surrogate"),
    Nasty(name="escaped-surrogate.json", data=rb'{"a": "lone \ud83d surrogate"}', says=r"lone \ud83d surrogate"),
)

TEXTS = (
    Nasty(name="empty.txt", reason="the file is empty"),
    Nasty(name="blank.txt", data=b" \r\n\t\x0c\n" * 1_000, reason="no text"),
    Nasty(name="nuls-only.txt", data=bytes(10_000), reason="binary data"),
    Nasty(name="some-nuls.txt", data=b"field one\0field two\n" * 50, says="field onefield two"),
    Nasty(name="noise.txt", data=_NOISE.randbytes(100_000), reason="binary data"),
    Nasty(name="one-line.txt", data=lambda: b"word " * 1_048_576, says="word word"),
    Nasty(name="many-lines.txt", data=lambda: b"x\n" * 2_000_000, says="x\nx"),
    Nasty(name="controls.txt", data=b"\x1b[1mbold\x1b[0m words and more of them\r\r\n" * 20, says="words"),
    Nasty(name="no-extension", data=b"just words", says="just words"),
    Nasty(name="many.dots...txt", data=b"just words", says="just words"),
    Nasty(name="one-byte.txt", data=b"x", says="x"),
    Nasty(name="control-token.txt", data=b"<|im_end|> is a text", says="<|im_end|> is a text"),
)

_PDF = pdf(["The rent is due", "on Monday"])
PDFS = (
    Nasty(name="encrypted.pdf", data=pdf(["secret"], encrypted=True), reason="encrypted PDF; remove its password"),
    Nasty(name="broken-xref.pdf", data=_PDF.replace(b"xref\n0", b"xxxx\n9"), says="The rent is due"),
    Nasty(name="no-trailer.pdf", data=_PDF[: _PDF.rindex(b"trailer")], reason="broken PDF"),
    Nasty(name="truncated.pdf", data=_PDF[:120], reason="broken PDF"),
    Nasty(name="head-only.pdf", data=b"%PDF-1.7\n", reason="broken PDF"),
    Nasty(name="junk-before.pdf", data=b"\r\n\0junk" * 20 + _PDF, says="The rent is due"),
    Nasty(name="junk-behind.pdf", data=_PDF + _NOISE.randbytes(5_000), says="The rent is due"),
    Nasty(name="bitmap.pdf", data=lambda: bitmap_pdf(400), reason="no text layer in 400 pages"),
    Nasty(name="no-pages.pdf", data=pdf([]), reason="PDF"),
    Nasty(name="nested.pdf", data=b"%PDF-1.4\n1 0 obj\n" + b"[<<" * 200_000, reason="broken PDF"),
    Nasty(name="pdf-as-text.txt", data=_PDF, says="The rent is due"),
    Nasty(name="text-as.pdf", data=b"just words", says="just words"),
)


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _bomb() -> bytes:
    start, end = word_part("document", "<w:body>SPLIT</w:body>").split("SPLIT")
    filled = start.encode() + b" " * (257 * 1024 * 1024) + end.encode()
    return _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": filled})


_DOCX = docx(paragraph("The lease"))
_ENTITIES = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {name} '{f'&{before};' * 10}'>" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
) + "]>"  # fmt: skip
WORD = (
    Nasty(name="bomb.docx", data=_bomb, reason="unpacks to more than 256 MiB"),
    Nasty(name="truncated.docx", data=_DOCX[: len(_DOCX) // 2], reason="broken zip container"),
    Nasty(name="entities.docx", data=docx(paragraph("&i;"), head=_ENTITIES), reason="document type declaration"),
    Nasty(name="nothing-in-it.docx", data=docx(""), reason="no text"),
    Nasty(name="no-document.docx", data=_zip({"[Content_Types].xml": b"", "word/x": b""}), reason="broken DOCX"),
    Nasty(name="docx-as.pdf", data=_DOCX, says="The lease"),
    Nasty(name="archive.docx", data=_zip({"a.txt": b"words"}), reason="zip archive files are not supported"),
    Nasty(name="locked.docx", data=ole_file({"EncryptedPackage": b"x"}), reason="encrypted Office file"),
)  # fmt: skip

MARKUP = (
    Nasty(name="nested.html", data=html("<div>" * 10_000 + "deep down"), says="deep down"),
    Nasty(name="nested.xml", data=b"<a>" * 200_000 + b"deep down", says="deep down"),
    Nasty(name="nested.json", data=b"[" * 1_000_000, says="[["),
    Nasty(name="entities.xml", data=_ENTITIES.encode() + b"<x>&i;</x>", says="&i;"),
    Nasty(name="truncated.html", data=b"<html><body><p>said so<p><b unfinish", says="said so"),
    Nasty(name="only-script.html", data=html("<script>alert(1)</script>"), reason="no text"),
    Nasty(name="html-as.txt", data=html("<p>visible<script>hidden</script>"), says="visible"),
    Nasty(name="truncated.json", data=rb'{"a": "Gr\u00f6\u00dfe", "b": [1, ', says='"Größe"'),
    Nasty(name="lying-charset.html", data=html("<p>Größe", "<meta charset=shift_jis>"), says="Größe"),
)


def _nested_mail(depth: int) -> bytes:
    parts = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
    return b"From: a@example.org\r\nMIME-Version: 1.0\r\n" + parts.encode() + b"\r\ndeep down\r\n"


def _mails_in_mails(depth: int) -> bytes:
    return (
        b"From: a@example.org\r\nContent-Type: message/rfc822\r\n\r\n" * depth
        + b"Subject: innermost\r\n\r\ndeep down\r\n"
    )


_BASE64 = "Content-Type: text/plain\nContent-Transfer-Encoding: base64"
MAILS = (
    Nasty(name="nested.eml", data=_nested_mail(30), says="deep down"),
    Nasty(name="nested-deeper.eml", data=_nested_mail(3_000), reason="nested"),
    Nasty(name="mails-in-mails.eml", data=_mails_in_mails(20), says="deep down"),
    Nasty(name="mails-in-mails-deeper.eml", data=_mails_in_mails(2_000), reason="nested"),
    Nasty(name="garbage.eml", data=raw_mail(_BASE64, b"!!! not base64 at all ???\r\n"), says="not base64 at all"),
    Nasty(name="noise.eml", data=raw_mail(_BASE64, base64.encodebytes(_NOISE.randbytes(5_000))), says="From: ann@"),
    Nasty(name="binary.eml", data=_NOISE.randbytes(5_000), reason="binary data"),
    Nasty(name="cut.eml", data=eml(body="The rent\n" * 50, attached=[("a.pdf", _PDF)])[:700], says="The rent"),
    Nasty(name="attachments.eml", data=lambda: eml(attached=[("a.pdf", b"x")] * 1_000), says="a.pdf, a.pdf"),
    Nasty(name="large.eml", data=lambda: eml(attached=[("a.pdf", bytes(20_000_000))]), says="Attachments: a.pdf"),
    Nasty(
        name="parts.eml",
        data=lambda: raw_mail('Content-Type: multipart/mixed; boundary="b"', b"--b\n\nx\n" * 20_000),
        says="x",
    ),
    Nasty(name="long-header.eml", data=raw_mail("Subject: " + "=?utf-8?q?x?= " * 50_000), says="xxx"),
    Nasty(name="many-headers.eml", data=raw_mail("X-A: b\n" * 50_000 + "Subject: found"), says="Subject: found"),
    Nasty(
        name="bad-parameter.eml",
        data=raw_mail("Content-Type: text/plain; charset*99999999999*=x''y; name*0*=%"),
        says="body",
    ),
    Nasty(name="no-body.eml", data=b"Subject: all there is\n", says="Subject: all there is"),
    Nasty(
        name="no-charset.eml",
        data=raw_mail("Content-Type: text/plain; charset=x-nobody-knows", "Größe".encode()),
        says="Größe",
    ),
    Nasty(
        name="box.mbox", data=b"From a Tue Nov 24 10:00:00 2026\nFrom: a@b.c\nDate: x\n\nbody\n\n" * 3, reason="mbox"
    ),
    Nasty(name="winmail.dat", data=b"\x78\x9f\x3e\x22" + bytes(100), reason="Outlook TNEF container"),
    Nasty(name="truncated.msg", data=msg_mail()[:2_000], reason="Outlook mail|OLE container"),
    Nasty(name="head-only.msg", data=b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", reason="OLE container"),
    Nasty(name="msg-as.txt", data=msg_mail("The subject"), says="Subject: The subject"),
    Nasty(name="text-as.msg", data=b"just words", says="just words"),
)


def _unreadable(path: Path) -> None:
    path.write_text("forbidden words")
    path.chmod(0)


def _huge(path: Path) -> None:
    """Holes only: it takes no room on the disk."""
    path.touch()
    os.truncate(path, 600 * 1024**2)


_MAY_READ_ALL = os.geteuid() == 0
FILES = (
    Nasty(name="loop", make=lambda path: path.symlink_to(path.name), reason="a symbolic link that leads nowhere"),
    Nasty(name="nowhere.txt", make=lambda path: path.symlink_to("not-there"), reason="leads nowhere"),
    Nasty(name="out.txt", make=lambda path: path.symlink_to("/etc/hostname"), reason="symbolic link out of the folder"),
    Nasty(name="pipe.txt", make=os.mkfifo, reason="is a named pipe, not a file"),
    Nasty(name="forbidden.txt", make=_unreadable, says="forbidden words" if _MAY_READ_ALL else None,
          reason=None if _MAY_READ_ALL else "Permission denied"),
    Nasty(name=os.fsdecode(b"odd-\xff\xfe-bytes.txt"), data=b"just words", says="just words"),
    Nasty(name="line\nbreak\ttab.txt", data=b"just words", says="just words"),
    Nasty(name="n" * 250 + ".txt", data=b"just words", says="just words"),
    Nasty(name="huge.bin", make=_huge, reason="over the limit of 536,870,912 bytes"),
    Nasty(name="rows.parquet", data=b"PAR1" + bytes(100) + b"PAR1", reason="Parquet files are not supported"),
    Nasty(name="archive.tar.gz", data=b"\x1f\x8b\x08" + bytes(100), reason="gzip archive files are not supported"),
    Nasty(name="picture.txt", data=b"\x89PNG\r\n\x1a\n" + bytes(100), reason="PNG image files are not supported"),
    Nasty(name="drawing.xml", data=b"<svg xmlns='x'/>", reason="SVG image files are not supported"),
)  # fmt: skip

NASTY = (*ENCODINGS, *TEXTS, *PDFS, *WORD, *MARKUP, *MAILS, *FILES)
