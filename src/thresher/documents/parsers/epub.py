"""EPUB: title, author, and the chapters of a book in the order of its spine."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from thresher.documents.parsers.flow import Lines
from thresher.documents.parsers.html import page_text
from thresher.documents.parsers.package import Package
from thresher.documents.parsers.xml_stream import Names
from thresher.errors import UnreadableError

_NAMES = Names(
    {
        "urn:oasis:names:tc:opendocument:xmlns:container": "ocf",
        "http://www.idpf.org/2007/opf": "opf",
        "http://openebook.org/namespaces/oeb-package/1.0/": "opf",
        "http://purl.org/dc/elements/1.1/": "dc",
        "http://www.w3.org/2001/04/xmlenc#": "enc",
    }
)
_PAGES = frozenset(["application/xhtml+xml", "text/html", "text/x-oeb1-document"])
#: These only scramble fonts.
_HARMLESS = frozenset(["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
#: XHTML may close these at once; HTML takes all that follows for their content.
_SELF_CLOSED = re.compile(rb"<(title|script|style|textarea|iframe|noscript|object)\b([^<>]*)/>", re.I)


def parse(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The book's text.

    Raises:
        UnreadableError: a broken, bomb-like or copy-protected book.
    """
    package = Package(data, "EPUB", doctype_allowed=True)
    book = _Book(package)
    protected = _protected(package)
    text = Lines()
    for line in (*book.titles, *book.creators):
        text.add(" ".join(line.split()))
    for page in book.pages():
        if page in protected:
            raise UnreadableError("EPUB with copy protection (DRM): its text is encrypted")
        text.heading("")
        text.add(page_text(_SELF_CLOSED.sub(rb"<\1\2></\1>", package.read(page)), with_title=False))
    return text.text()


class _Book:
    """The package document: metadata, manifest and spine."""

    def __init__(self, package: Package) -> None:
        self.titles: list[str] = []
        self.creators: list[str] = []
        self._items: dict[str, tuple[str, str]] = {}  # id -> member, media type
        self._spine: dict[str, None] = {}
        self._text: list[str] | None = None
        self._path = _package_document(package)
        package.feed(self._path, self._start, self._end, self._characters)

    def pages(self) -> list[str]:
        """The members to read, in order, each once.

        Raises:
            UnreadableError: the spine names what the manifest does not.
        """
        missing = [id_ for id_ in self._spine if id_ not in self._items]
        if missing:
            raise UnreadableError(f"broken EPUB: its spine names {missing[0][:100]!r}, which is not in it")
        return [member for member, media_type in (self._items[id_] for id_ in self._spine) if media_type in _PAGES]

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _NAMES[tag]
        if name == "opf:item":
            member = posixpath.join(posixpath.dirname(self._path), unquote(attributes.get("href", "")))
            self._items[attributes.get("id", "")] = (posixpath.normpath(member), attributes.get("media-type", ""))
        elif name == "opf:itemref":
            self._spine[attributes.get("idref", "")] = None
        elif name in ("dc:title", "dc:creator"):
            self._text = []

    def _end(self, tag: str) -> None:
        name = _NAMES[tag]
        if self._text is not None and name in ("dc:title", "dc:creator"):
            (self.titles if name == "dc:title" else self.creators).append("".join(self._text))
            self._text = None

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _package_document(package: Package) -> str:
    found: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if _NAMES[tag] == "ocf:rootfile":
            found.append(attributes.get("full-path", ""))

    package.feed("META-INF/container.xml", start)
    if not found:
        raise UnreadableError("broken EPUB: its container names no package document")
    return found[0]


def _protected(package: Package) -> set[str]:
    """The members that are encrypted."""
    found: set[str] = set()
    harmless = False

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal harmless
        name = _NAMES[tag]
        if name == "enc:EncryptionMethod":
            harmless = attributes.get("Algorithm") in _HARMLESS
        elif name == "enc:CipherReference" and not harmless:
            found.add(unquote(attributes.get("URI", "")).lstrip("/"))

    if "META-INF/encryption.xml" in package.members:
        package.feed("META-INF/encryption.xml", start)
    return found
