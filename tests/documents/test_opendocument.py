from __future__ import annotations

import io
import zipfile

import pytest

from tests.support.office_files import archive, open_document, replaced
from thresher.documents.parsers import parse
from thresher.documents.parsers.recognise import ODP, ODS, ODT, recognise
from thresher.documents.reading.worker import parse_document
from thresher.errors import UnreadableError


def text_of(body: str, styles: str = "", head: str = "") -> str:
    return parse(open_document("text", body, styles=styles, head=head), ODT, "a.odt")


def test_white_space_collapses_but_marks_do_not() -> None:
    body = "<text:p>\n  one\n  two<text:s/> <text:s text:c='2'/>three<text:tab/>four<text:line-break/> five</text:p>"
    assert text_of(body) == "one two   three\tfour\nfive"
    assert text_of("<text:p>a<text:s text:c='2000000000'/>b</text:p>") == "a b"
    assert text_of("<text:p>a<text:s text:c='900000'/>b</text:p>") == "a" + " " * 16 + "b"


def test_lists_nest_and_their_further_paragraphs_are_unmarked() -> None:
    body = (
        "<text:list><text:list-item><text:p>one</text:p><text:p>more</text:p><text:list><text:list-item><text:p>two"
        "</text:p></text:list-item></text:list></text:list-item></text:list><text:p>after</text:p>"
    )
    assert text_of(body) == "- one\nmore\n- two\nafter"


def test_tables_nest() -> None:
    def table(*cells: str) -> str:
        row = "".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in cells)
        return f"<table:table><table:table-row>{row}</table:table-row></table:table>"

    inner = table("<text:p>x</text:p>")
    assert text_of(table(f"<text:p>a</text:p>{inner}", "<text:p>b</text:p>")) == "a x\tb"


def test_hidden_and_deleted_text_and_descriptions_are_left_out() -> None:
    styles = (
        "<style:style style:name='H' style:family='text'><style:text-properties text:display='none'/></style:style>"
        "<style:style style:name='H' style:family='paragraph'/>"
    )
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:p text:style-name='H'>shown<text:span text:style-name='H'>hidden</text:span></text:p>"
        "<text:section text:display='none'><text:p>hidden</text:p></text:section>"
        "<text:p><text:hidden-text text:string-value='hidden'>hidden</text:hidden-text>more</text:p>"
    )
    assert text_of(body, styles) == "shown\nmore"


@pytest.mark.parametrize(
    ("kind", "media_type", "body", "style"),
    [
        (
            "spreadsheet",
            ODS,
            "<table:table table:style-name='H'>{}</table:table>",
            "table' ><style:table-properties table:display='false'",
        ),
        (
            "presentation",
            ODP,
            "<draw:page draw:style-name='H'>{}</draw:page>",
            "drawing-page' ><style:drawing-page-properties presentation:visibility='hidden'",
        ),
    ],
)
def test_when_all_is_hidden(kind: str, media_type: str, body: str, style: str) -> None:
    styles = f"<style:style style:name='H' style:family='{style}/></style:style>"
    with pytest.raises(UnreadableError, match="hidden"):
        parse(open_document(kind, body.format("<text:p>x</text:p>"), styles=styles), media_type, "a")


def test_encrypted() -> None:
    manifest = (
        "<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'><manifest:file-entry "
        "manifest:full-path='content.xml'><manifest:encryption-data/></manifest:file-entry></manifest:manifest>"
    )
    data = replaced(open_document("text", ""), {"content.xml": b"\x93\x00garbage", "META-INF/manifest.xml": manifest})
    with pytest.raises(UnreadableError, match="encrypted OpenDocument"):
        parse_document(data, "a.odt")
    wholly = archive({"mimetype": "application/vnd.oasis.opendocument.text", "encrypted-package": "x"})
    with pytest.raises(UnreadableError, match="encrypted OpenDocument"):
        parse_document(wholly, "a.odt")


@pytest.mark.parametrize(
    "entity", ["<!ENTITY j 'ha'>", "<!ENTITY j SYSTEM 'file:///etc/passwd'>", "<!ENTITY % j 'ha'>"]
)
def test_entities_are_refused(entity: str) -> None:
    with pytest.raises(UnreadableError, match="entities"):
        text_of("<text:p>x</text:p>", head=f"<!DOCTYPE a [{entity}]>")


def test_a_document_type_of_old_programs_is_not_fetched() -> None:
    head = '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "office.dtd">'
    assert text_of("<text:p>x</text:p>", head=head) == "x"


def test_old_and_template_kinds() -> None:
    data = open_document("text", "<text:p>x</text:p>")
    for kind in ("application/vnd.sun.xml.writer", "application/vnd.oasis.opendocument.text-template"):
        assert recognise(replaced(data, {"mimetype": kind}), "a") == ODT
    content = zipfile.ZipFile(io.BytesIO(data)).read("content.xml").decode()
    old = content.replace("urn:oasis:names:tc:opendocument:xmlns:", "http://openoffice.org/2000/").replace(":1.0'", "'")
    assert parse(replaced(data, {"content.xml": old}), ODT, "a.sxw") == "x"
