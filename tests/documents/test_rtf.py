from __future__ import annotations

import pytest

from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import RTF
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError


def text_of(body: str, head: str = "\\ansi\\ansicpg1252") -> str:
    return parse(f"{{\\rtf1{head} {body}}}".encode("latin-1"), RTF, "a.rtf")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"one\par two\line three\tab four", "one\ntwo\nthree\tfour"),
        ("soft\nbreaks are\r\nno text\\\npar", "softbreaks areno text\npar"),
        (r"caf\'e9 \'80 \endash\~\{\}\\", "café € –\N{NO-BREAK SPACE}{}\\"),
        (r"\u1050?\u8364\'80x", "К€x"),
        (r"\uc0\u1050 x{\uc2\u1051 ab}\u1052?", "КxЛМ?"),
        (r"\u-10179?\u-8704? and \u55357?", "😀 and \N{REPLACEMENT CHARACTER}"),
        (r"a{\v hidden}\v b\v0 c{\deleted d}\deleted e\plain f", "acf"),
        (r"{\field{\*\fldinst HYPERLINK 'x'}{\fldrslt the link}}", "the link"),
        (r"{\pict\wmetafile8 0102ff}{\*\generator Riched20;}{\info{\title T}}x", "x"),
        (r"{\object{\*\objdata 01}{\result shown}}", "shown"),
        (
            r"{\shp{\*\shpinst{\sp{\sn type}{\sv 202}}{\shptxt a box\par}}{\shprslt{\*\do{\dptxbxtext a box}}}}x",
            "a box\nx",
        ),
        (r"{\*\do\dptxbx{\dptxbxtext an old box\par}}x", "an old box\nx"),
        (r"{\*\moMath{\mr E=mc}}", "E=mc"),
        (r"{\upr{old}{\*\ud{\u1050?}}}", "К"),
        (r"{\pntext\'B7\tab}item\par {\listtext 1.\tab}next\par {\listtext\tab}heading", "- item\n- next\nheading"),
        (r"body{\footnote \chftn  a note} goes on\par more", "body goes on\na note\nmore"),
        (r"x{\*\atnid A}{\*\atnauthor B}{\*\annotation a comment}", "x\na comment"),
        (r"{\header top\par}{\footer bottom}{\headerf top}body", "top\nbody\nbottom"),
        (r"\trowd\pard\intbl a\cell b\par c\cell\row\pard after", "a\tb c\nafter"),
        (r"\intbl a\cell\cell c\cell\row x", "a\t\tc\nx"),
        (r"\intbl never ended\cell lost?\pard\par x", "never ended\nlost?\nx"),
        (r"{\bin4 }}}}}x", "x"),
        (r"{\pict\bin6 {{{{}}}y", "y"),
    ],
)
def test_text(body: str, text: str) -> None:
    assert text_of(body) == text


@pytest.mark.parametrize(
    ("font", "escaped", "text"),
    [
        (r"\fcharset204", r"\'ca\'eb\'fe\'f7", "Ключ"),
        (r"\fcharset128", r"\'8c\'ae", "鍵"),
        (r"\fcharset128", r"\'83A", "ア"),
        (r"\fcharset238", r"\'9c", "ś"),
        (r"\fcharset0\cpg1253", r"\'e1", "α"),
        (r"\fcharset0", r"\'e9", "é"),
    ],
)
def test_bytes_are_in_the_code_page_of_the_font(font: str, escaped: str, text: str) -> None:
    fonts = rf"{{\fonttbl{{\f0\fnil Arial;}}{{\f7\fnil{font} Other;}}}}"
    assert text_of(rf"{fonts}\'e4\f7 {escaped}\plain\'e4", r"\ansi\deff0") == f"ä{text}ä"


def test_the_code_page_of_the_document() -> None:
    assert text_of(r"\'ca\'eb\'fe\'f7", r"\ansi\ansicpg1251") == "Ключ"
    assert text_of(r"\'8e", r"\mac") == "é"
    assert text_of(r"\'e9", r"\ansi\ansicpg99999") == "é"


def test_a_cut_file_is_no_success() -> None:
    data = b"{\\rtf1 some text{\\b and more"
    with pytest.raises(UnreadableError, match="2 of its groups do not end"):
        parse(data, RTF, "a.rtf")
    assert parse(data + b"}}\0\0trailing}}", RTF, "a.rtf") == "some textand more"


def test_recognised_behind_white_space_and_whatever_the_name() -> None:
    assert parse_document(b"\xef\xbb\xbf \r\n{\\rtf1 x}", "a.doc") == (RTF, "x")
