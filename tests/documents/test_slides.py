from __future__ import annotations

import struct
import time

import pytest

from tests.support.office_files import (
    powerpoint_97,
    pptx,
    record,
    relations,
    replaced,
    shape,
    slide_part,
    slide_text,
)
from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import PPT, PPTX
from thresher.errors import UnreadableError

CHART = "xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart'"
DRAWING = "xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"


def text_of(data: bytes) -> str:
    return parse(data, PPTX, "a.pptx")


def test_title_first_then_the_order_of_the_file() -> None:
    table = "<p:graphicFrame><a:tbl>{}</a:tbl></p:graphicFrame>".format(
        "<a:tr><a:tc><a:txBody><a:p><a:r><a:t>Floor</a:t></a:r></a:p></a:txBody></a:tc><a:tc/></a:tr>"
        "<a:tr><a:tc><a:p><a:r><a:t>7</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r><a:t>€</a:t></a:r></a:p></a:tc></a:tr>"
    )
    group = f"<p:grpSp>{shape('in a group')}</p:grpSp>"
    broken = "<p:sp><a:p><a:r><a:t>one</a:t></a:r><a:br/><a:r><a:t>two</a:t></a:r></a:p></p:sp>"
    slide = slide_part(shape("body") + shape("The\ntitle", "ctrTitle") + table + group + broken)
    assert text_of(pptx([slide])) == "Slide 1: The title\nbody\nFloor\n7\t€\nin a group\none\ntwo"


def test_footers_once_and_no_slide_numbers_or_dates() -> None:
    number = "<p:sp><a:p><a:fld type='slidenum'><a:t>7</a:t></a:fld></a:p></p:sp>"
    slide = slide_part(shape("x") + shape("3", "sldNum") + shape("1 May", "dt") + shape("Harbour", "ftr") + number)
    assert text_of(pptx([slide, slide])) == "Slide 1\nx\n\nSlide 2\nx\n\nHarbour"


def test_hidden_slides_are_left_out() -> None:
    hidden = slide_part(shape("secret"), attributes="show='0'")
    assert text_of(pptx([hidden, slide_part(shape("x"))])) == "Slide 2\nx"
    with pytest.raises(UnreadableError, match="hidden"):
        text_of(pptx([hidden]))


def test_notes_comments_diagrams_and_charts() -> None:
    values = "".join(
        f"<c:{kind}><c:pt><c:v>{value}</c:v></c:pt></c:{kind}>" for kind, value in (("cat", 2023), ("val", 5))
    )
    series = f"<c:ser><c:tx><c:v>Rents</c:v></c:tx>{values}</c:ser>" * 2
    title = "<c:title><a:p><a:r><a:t>By year</a:t></a:r></a:p></c:title>"
    links = [(kind, f"../{kind}.xml") for kind in ("notesSlide", "comments", "diagramData", "chart")]
    parts = {
        "ppt/slides/_rels/slide1.xml.rels": relations(*links),
        "ppt/notesSlide.xml": slide_part(
            shape("", "sldImg") + shape("say hello", "body") + shape("1", "sldNum"), "notes"
        ),
        "ppt/comments.xml": slide_part("<p:cm><p:text>really?</p:text></p:cm>"),
        "ppt/diagramData.xml": f"<d {DRAWING}><a:p><a:r><a:t>a step</a:t></a:r></a:p></d>",
        "ppt/chart.xml": f"<c:chartSpace {CHART} {DRAWING}>{title}{series}</c:chartSpace>",
    }
    assert text_of(pptx([slide_part(shape("x"))], parts)) == (
        "Slide 1\nx\na step\nBy year\n\t2023\nRents\t5\nRents\t5\nComment: really?\nNotes: say hello"
    )


def test_a_missing_slide_is_no_success() -> None:
    data = pptx([slide_part(shape("x")), slide_part(shape("y"))])
    with pytest.raises(UnreadableError, match="broken PPTX: slide 2 is missing"):
        text_of(replaced(data, {"ppt/slides/slide2.xml": None}))


def test_ten_thousand_slides() -> None:
    started = time.monotonic()
    text = text_of(pptx([slide_part(shape("one of many"))] * 10_000))
    assert text.count("one of many") == 10_000
    assert time.monotonic() - started < 100


def binary(data: bytes) -> str:
    return parse(data, PPT, "a.ppt")


def test_binary_slides() -> None:
    title = slide_text("Why\vlofts", 0)
    reference = record(3998, struct.pack("<I", 0))
    latin = record(3999, struct.pack("<I", 4)) + record(4008, "café".encode("latin-1"))
    footer = record(4057, record(4026, "Harbour".encode("utf-16-le"), instance=2), container=True)
    slide = record(1036, reference + slide_text("one\rtwo 😀") + latin + slide_text("*"), container=True) + footer
    assert binary(powerpoint_97(slide, title)) == "Slide 1: Why lofts\none\ntwo 😀\ncafé\n\nHarbour"


def test_binary_hidden_slides() -> None:
    info = record(1017, struct.pack("<IIBBHI", 0, 0, 0, 0, 4, 0))
    with pytest.raises(UnreadableError, match="hidden"):
        binary(powerpoint_97(info + slide_text("secret")))


def test_binary_encrypted() -> None:
    for data in (powerpoint_97(slide_text("x"), token=0xF3D1C4DF), powerpoint_97(slide_text("x"), edits=bytes(4))):
        with pytest.raises(UnreadableError, match="encrypted PPT"):
            binary(data)
