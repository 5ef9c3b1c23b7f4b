"""HTML: what a reader sees, a line per block."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from thresher.documents.parsers.declared import decode_declared
from thresher.errors import UnreadableError

_DROPPED = frozenset(
    ["script", "style", "noscript", "template", "nav", "iframe", "object", "svg", "canvas", "audio", "video", "head"]
)
_BLOCKS = frozenset(
    [
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6"),
        *("header", "hr", "html", "legend", "li", "main", "menu", "ol", "option", "p", "pre", "section", "summary"),
        *("table", "tbody", "tfoot", "thead", "tr", "ul"),
    ]
)
_CELLS = frozenset(["td", "th"])
_META_CHARSET = re.compile(rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_SPACES = re.compile(r"[ \t\n\f\r]+")


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """Title and visible text: blocks on lines of their own, table cells parted by tabs, list items marked.

    Scripts, styles, navigation and hidden elements are left out.

    Raises:
        UnreadableError: binary data, or markup that the parser cannot take.
    """
    return page_text(data, with_title=True)


def page_text(data: bytes, *, with_title: bool) -> str:
    """As :func:`parse`; a page that is one of many, as in a book, may leave its title out."""
    declared = _META_CHARSET.search(data[:4096])
    label = declared[1].decode("ascii", "replace") if declared else None
    return visible_text(decode_declared(data, label), with_title=with_title)


def visible_text(markup: str, *, with_title: bool = True) -> str:
    """What :func:`page_text` gives, of a page that is decoded already.

    Raises:
        UnreadableError: markup that the parser cannot take.
    """
    try:
        tree = LexborHTMLParser(markup.replace("\0", ""))
    except MemoryError:
        raise
    except Exception as error:  # the library's errors have no common base
        raise UnreadableError(f"broken HTML: {error}") from error
    writer = _Writer()
    if tree.root is not None:
        if with_title:
            writer.title(tree.css_first("head > title"))
        _walk(tree.root, writer)
    return writer.text()


class _Writer:
    """Collects text as a browser would lay it out: white space collapses, blocks break lines."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []

    def title(self, node: LexborNode | None) -> None:
        if node is not None:
            self.words(node.text())
            self.line_break()

    def words(self, text: str) -> None:
        collapsed = _SPACES.sub(" ", text)
        if not self._line or self._line[-1].endswith((" ", "\t")):
            collapsed = collapsed.lstrip(" ")
        if collapsed:
            self._line.append(collapsed)

    def verbatim(self, text: str) -> None:
        first, *rest = text.split("\n")
        self._line.append(first)
        for line in rest:
            self.line_break()
            self._line.append(line)

    def cell(self) -> None:
        if self._line:
            self._line.append("\t")

    def item(self) -> None:
        self.block()
        self._line.append("- ")

    def block(self) -> None:
        if any(part.strip() not in ("", "-") for part in self._line):
            self.line_break()

    def line_break(self) -> None:
        self._lines.append("".join(self._line).rstrip())
        self._line = []

    def text(self) -> str:
        self.line_break()
        return "\n".join(line for line in self._lines if line.strip())


def _walk(root: LexborNode, writer: _Writer) -> None:
    """Depth first without recursion, so that nesting costs memory only."""
    node = root
    depth = 0
    pre_depth: int | None = None  # of the outermost <pre> that is open
    while True:
        child = node.first_child if _enter(node, writer, verbatim=pre_depth is not None) else None
        if child is not None:
            if node.tag == "pre" and pre_depth is None:
                pre_depth = depth
            node, depth = child, depth + 1
            continue
        while node.next is None:
            if depth <= 1 or node.parent is None:
                return
            node, depth = node.parent, depth - 1
            if depth == pre_depth:
                pre_depth = None
            _leave(node, writer)
        node = node.next


def _enter(node: LexborNode, writer: _Writer, *, verbatim: bool) -> bool:
    """Write what the node begins with; false where its children are not to be read."""
    if node.is_text_node:
        text = node.text_content or ""
        (writer.verbatim if verbatim else writer.words)(text)
        return False
    if not node.is_element_node:
        return node.is_document_node
    tag = node.tag or ""
    if tag in _DROPPED or _hidden(node):
        return False
    if tag == "br":
        writer.line_break()
    elif tag == "li":
        writer.item()
    elif tag in _CELLS:
        writer.cell()
    elif tag in _BLOCKS:
        writer.block()
    return True


def _leave(node: LexborNode, writer: _Writer) -> None:
    if node.tag in _BLOCKS:
        writer.block()


def _hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDDEN_STYLE.search(attributes.get("style") or ""))
