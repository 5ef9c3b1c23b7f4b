from __future__ import annotations

import pytest

from tests.support.document_files import html
from thresher.documents.parsers import parse
from thresher.errors import UnreadableError


def text_of(data: bytes) -> str:
    return parse(data, "text/html", "page.html")


def test_title_headings_paragraphs_and_lists_have_lines_of_their_own() -> None:
    page = html("<h1>Lease</h1><p>First <b>bold</b>\n  words.</p><ul><li>one<li><p>two</p></ul>end", "<title>T</title>")
    assert text_of(page) == "T\nLease\nFirst bold words.\n- one\n- two\nend"


def test_table_cells_are_parted_by_tabs() -> None:
    page = html("<table><tr><th>Item<th>Price<tr><td>Chair<td>20<tr><td><p>Desk</p><td></table>after")
    assert text_of(page) == "Item\tPrice\nChair\t20\nDesk\nafter"


def test_what_no_reader_sees_is_left_out() -> None:
    page = html(
        "<nav>menu</nav><script>var a = '<p>';</script><style>p {}</style><template>t</template><noscript>n</noscript>"
        "<p hidden>h</p><p style='x: y; display : none'>d</p><!-- comment --><svg><text>s</text></svg><p>seen</p>",
        "<meta name='description' content='meta'><style>x</style>",
    )
    assert text_of(page) == "seen"


def test_preformatted_text_keeps_its_lines_and_spaces() -> None:
    page = html("<pre>a\n  <b>b</b>\n\n   c</pre><p>x\n   y</p><pre></pre><p>z\n  z</p>")
    assert text_of(page) == "a\n  b\n   c\nx y\nz z"


def test_line_breaks() -> None:
    assert text_of(html("a<br>b<br/>c")) == "a\nb\nc"


def test_entities_and_nuls() -> None:
    assert text_of(html("<p>caf&eacute; &amp; &lt;tag&gt; a\0b &#x110000;</p>")).startswith("café & <tag> ab")


@pytest.mark.parametrize(
    ("label", "codec"),
    [("iso-8859-1", "cp1252"), ("windows-1251", "cp1251"), ("Shift_JIS", "cp932"), ("iso-2022-jp", "iso2022_jp")],
)
def test_the_declared_charset(label: str, codec: str) -> None:
    words = {"cp1251": "Договор", "cp932": "契約", "iso2022_jp": "契約"}.get(codec, "größe “x”")
    page = f"<html><meta charset='{label}'><p>{words}</p>".encode(codec)
    assert text_of(page) == words


@pytest.mark.parametrize("label", ["windows-1251", "no-such-charset", "utf-16", "idna", "zlib_codec", "hex"])
def test_a_declared_charset_that_lies(label: str) -> None:
    assert text_of(f"<html><meta charset={label}><p>größe</p>".encode()) == "größe"


def test_utf_16_with_a_mark() -> None:
    assert text_of("<html><p>größe</p>".encode("utf-16")) == "größe"


def test_no_text_at_all() -> None:
    with pytest.raises(UnreadableError, match="no text"):
        text_of(html("<img src=x><script>1</script>"))


def test_no_reference_is_followed() -> None:
    page = html("<iframe src='file:///etc/passwd'>x</iframe><object data='/etc/passwd'>y</object><p>seen</p>")
    assert text_of(page) == "seen"


def test_tag_soup() -> None:
    assert text_of(b"</p></div><table>loose<tr>words</b></body><p>after") == "loosewords\nafter"
