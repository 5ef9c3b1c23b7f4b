from __future__ import annotations

import pytest

from tests.support.office_files import (
    archive,
    excel_97,
    inline,
    open_document,
    relations,
    replaced,
    shape,
    slide_part,
    xlsx,
)
from thresher.documents.parsers import flow, parse
from thresher.documents.parsers.number_format import BUILT_IN, compile_format
from thresher.documents.parsers.recognise import ODS, XLS, XLSX, recognise
from thresher.errors import UnreadableError

SHEET = "xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'"


def text_of(data: bytes) -> str:
    return parse(data, XLSX, "a.xlsx")


def row(cells: str) -> str:
    return f"<row>{cells}</row>"


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("General", 0.1 + 0.2, "0.3"),
        ("General", 1234567890123.0, "1.234567890E+12"),
        ("0", 2.5, "3"),
        ("0.00", 1.005, "1.01"),
        ('#,##0.00 "EUR"', 1234567.891, "1,234,567.89 EUR"),
        ("0.0%", 0.1956, "19.6%"),
        ("[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", -1234.5, "-€ 1,234.50"),
        ("0.00", -1.5, "-1.50"),
        ("0", -0.3, "0"),
        ('_(* #,##0_);_(* (#,##0);_(* "-"??_);_(@_)', 0, "-"),
        ('_(* #,##0_);_(* (#,##0);_(* "-"??_);_(@_)', -1500, "(1,500)"),
        ("[>=1000]#,##0,k;0", 1500, "2k"),
        ("[>=1000]#,##0,k;0", 20, "20"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ("(###) ###-####", 5551234567, "(555) 123-4567"),
        ("# ?/?", 0.5, "0.5"),
        ("0.##", 2.0, "2"),
        ("0.00E+00", 12345.678, "1.23E+04"),
        (";;;", 5, ""),
        ("dd.mm.yyyy", 45352, "01.03.2024"),
        ("m/d/yy h:mm AM/PM", 45352.75, "3/1/24 6:00 PM"),
        ("[$-F800]dddd, mmmm dd, yyyy", 45352, "Friday, March 01, 2024"),
        ('yyyy"年"m"月"d"日"', 45352, "2024年3月1日"),
        ("h:mm:ss.00", 0.5 + 1.25 / 86400, "12:00:01.25"),
        ("[h]:mm", 1.5, "36:00"),
        ("yyyy-mm-dd", 1, "1900-01-01"),
        ("yyyy-mm-dd", -1, "-1"),
        ("yyyy-mm-dd", 1e12, "1E+12"),
        ("0" * 300, 7, "7"),
    ],
)
def test_numbers_in_their_formats(code: str, value: float, shown: str) -> None:
    assert compile_format(code)(value) == shown.replace("1.234567890E+12", "1.23456789E+12")


def test_days_counted_from_1904() -> None:
    assert compile_format("yyyy-mm-dd", from_1904=True)(0) == "1904-01-01"
    formats = "<cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs>"
    data = xlsx({"S": row("<c s='1'><v>1</v></c>")}, styles=formats, workbook="<workbookPr date1904='1'/>")
    assert text_of(data) == "Sheet: S\n1904-01-02"


@pytest.mark.parametrize("number", sorted(BUILT_IN))
def test_built_in_formats_show_something(number: int) -> None:
    assert compile_format(BUILT_IN[number])(45352.4) != ""


def test_kinds_of_cells() -> None:
    cells = (
        "<c t='s'><v>1</v></c><c t='b'><v>1</v></c><c t='e'><v>#N/A</v></c><c t='str'><f>A1</f><v>result</v></c>"
        "<c><f>SUM(A1:A2)</f><v>3</v></c><c><f>NOW()</f></c><c t='d'><v>2024-03-01</v></c><c><v>1E2</v></c><c/>"
    )
    data = xlsx({"S": row(cells)}, strings=["zero", "two\nlines"])
    assert text_of(data) == "Sheet: S\ntwo lines\tTRUE\t#N/A\tresult\t3\t=NOW()\t2024-03-01\t100"


def test_pronunciation_is_no_text() -> None:
    part = f"<sst {SHEET}><si><r><t>鍵</t></r><rPh sb='0' eb='1'><t>かぎ</t></rPh></si></sst>"
    data = replaced(xlsx({"S": row("<c t='s'><v>0</v></c>")}), {"xl/sharedStrings.xml": part})
    assert text_of(data) == "Sheet: S\n鍵"


def test_empty_cells_are_counted_not_built() -> None:
    cells = inline("A1", "a") + inline("D1", "d") + inline("XFD1", "far") + "<c r='XFE1'/>"
    far = "<row r='1048576'>" + inline("XFD1048576", "last") + "</row>"
    assert text_of(xlsx({"S": row(cells) + "<row/>" + far})) == "Sheet: S\na\t\t\td\t\tfar\n\tlast"


def test_hidden_sheets_are_left_out() -> None:
    sheets = {"Shown": row(inline("A1", "x")), "Lists": row(inline("A1", "y"))}
    assert text_of(xlsx(sheets, states={"Lists": "veryHidden"})) == "Sheet: Shown\nx"
    with pytest.raises(UnreadableError, match="hidden"):
        text_of(xlsx(sheets, states={"Lists": "hidden", "Shown": "hidden"}))


def test_text_boxes_and_comments_follow_the_cells() -> None:
    threaded = "[Threaded comment]&#10;&#10;Excel's words&#10;&#10;Comment:&#10;    why?"
    comments = "".join(
        f"<comment ref='{cell}'><text><r><t>{text}</t></r></text></comment>"
        for cell, text in (("A1", "note"), ("B2", threaded))
    )
    parts = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(("comments", "../c.xml"), ("drawing", "../drawings/d.xml")),
        "xl/c.xml": f"<comments {SHEET}><commentList>{comments}</commentList></comments>",
        "xl/drawings/d.xml": slide_part(shape("a box")),
    }
    text = text_of(xlsx({"S": row(inline("A1", "x"))}, parts=parts))
    assert text == "Sheet: S\nx\nComment on A1: note\nComment on B2: why?\na box"


def test_an_empty_workbook_has_no_text() -> None:
    with pytest.raises(UnreadableError, match="no text"):
        text_of(xlsx({"Sheet1": "", "Sheet2": row("<c r='A1'/>")}))


def test_one_string_in_a_million_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MAX_TEXT_CHARACTERS", 1_000_000)
    with pytest.raises(UnreadableError, match="more than 1,000,000 characters"):
        text_of(xlsx({"S": row("<c t='s'><v>0</v></c>" * 50) * 100}, strings=["x" * 1000]))


@pytest.mark.parametrize("cell", ["<c t='s'><v>7</v></c>", "<c t='s'><v>x</v></c>"])
def test_a_string_that_is_not_there(cell: str) -> None:
    with pytest.raises(UnreadableError, match="no shared string"):
        text_of(xlsx({"S": row(cell)}, strings=["zero"]))


def test_binary_workbooks_are_named() -> None:
    with pytest.raises(UnreadableError, match=r"XLSB.*save it as \.xlsx"):
        recognise(archive({"[Content_Types].xml": "<Types/>", "xl/workbook.bin": "x"}), "a.xlsb")


def test_xls() -> None:
    data = excel_97([(0, 0, "Rent"), (0, 2, "1,250"), (65535, 255, "far")])
    assert parse(data, XLS, "a.xls") == "Sheet: S\nRent\t\t1,250\n\tfar"


def test_encrypted_xls() -> None:
    protected = b"\x2f\0\6\0\0\0" + bytes(4)  # FILEPASS
    with pytest.raises(UnreadableError, match="encrypted XLS"):
        parse(excel_97([(0, 0, "x")], before=protected), XLS, "a.xls")


def sheet(rows: str) -> bytes:
    return open_document("spreadsheet", f"<table:table table:name='S'>{rows}</table:table>")


def cell(text: str, repeated: str = "1") -> str:
    return f"<table:table-cell table:number-columns-repeated='{repeated}'><text:p>{text}</text:p></table:table-cell>"


def test_repeated_cells_and_rows() -> None:
    empty = "<table:table-cell table:number-columns-repeated='16000'/>"
    rows = (
        f"<table:table-row table:number-rows-repeated='2'>{cell('a', '2')}{empty}{cell('b')}{empty}</table:table-row>"
        f"<table:table-row table:number-rows-repeated='1048000'>{empty}</table:table-row>"
    )
    assert parse(sheet(rows), ODS, "a.ods") == "Sheet: S\na\ta\t\tb\na\ta\t\tb"


@pytest.mark.parametrize("count", ["999999999", "9" * 30, "-1", "x", "０"])
def test_absurd_repetitions(count: str) -> None:
    data = sheet(f"<table:table-row table:number-rows-repeated='{count}'>{cell('text', count)}</table:table-row>")
    if count == "999999999":
        with pytest.raises(UnreadableError, match="characters"):
            parse(data, ODS, "a.ods")
    else:
        assert parse(data, ODS, "a.ods") == "Sheet: S\ntext"


def test_values_without_shown_text_and_merged_cells() -> None:
    rows = (
        "<table:table-row><table:table-cell office:value-type='float' office:value='7'/><table:covered-table-cell>"
        f"<text:p>beneath</text:p></table:covered-table-cell>{cell('x')}</table:table-row>"
    )
    assert parse(sheet(rows), ODS, "a.ods") == "Sheet: S\n7\t\tx"
