"""One source in many formats, converted by LibreOffice (office_files/make.sh): all readers give the same text."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.documents.reading.worker import parse_document

FILES = Path(__file__).parent / "office_files"
LETTER = """\
Harbour Lofts Ltd
Lease of a loft
The rent is 1,250 € a month, due on the first day.
Without heating.
Ключи, 鍵, ç and  😀\tafter a tab
a second line
- two keys
- one parking space
Item\tMonth\tYear
Rent without heating\t1,250\t15,000
See the terms for more.
Which terms?
Signed in Bergen
In two copies.
Registered in Bergen"""
BUDGET = """\
Sheet: Budget 2024
Item\tPaid on\tShare\tAmount
Rent of the loft\t01.03.2024\t75.5%\t15,000.00 EUR
Total\t\tall of it\t37500
Opens at\t08:30\t0.1\t-7

Sheet: Far
\tthe last cell"""
TALK = """\
Slide 1: Why lofts
Light from above
Ключи, 鍵 and 😀
a box of its own
Notes: Greet the guests.

Slide 3
Floor\tRent
7\t1,250

Harbour Lofts Ltd"""


def text_of(name: str) -> str:
    # under a name that says nothing: recognised by content
    return parse_document((FILES / name).read_bytes(), "document")[1]


@pytest.mark.parametrize("name", ["letter.fodt", "letter.odt", "letter.docx", "letter.doc", "letter.rtf"])
def test_a_letter_with_all_that_letters_have(name: str) -> None:
    assert text_of(name) == LETTER


@pytest.mark.parametrize("name", ["budget.fods", "budget.ods", "budget.xlsx", "budget.xls"])
def test_sheets_as_they_show_themselves(name: str) -> None:
    text = text_of(name)
    comment = "Is heating included?"
    assert comment in text  # behind its cell in OpenDocument, behind the sheet in Excel's formats
    assert text.replace(f"Comment on A2: {comment}\n", "").replace(f" {comment}", "") == BUDGET


@pytest.mark.parametrize("name", ["talk.fodp", "talk.odp", "talk.pptx", "talk.ppt"])
def test_slides_with_notes(name: str) -> None:
    text = text_of(name)
    if name == "talk.ppt":  # where tables are groups of boxes
        text = text.replace("Floor\nRent\n7\n1,250", "Floor\tRent\n7\t1,250")
    assert text == TALK
