"""Hostile XML as a stream: nothing external is fetched, no entity is expanded, depth costs no stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from xml.parsers import expat

from thresher.errors import UnreadableError

Start = Callable[[str, dict[str, str]], object]
End = Callable[[str], object]
Characters = Callable[[str], object]


def feed_xml(
    chunks: Iterable[bytes],
    what: str,
    start: Start,
    end: End | None = None,
    characters: Characters | None = None,
    *,
    doctype_allowed: bool = False,
) -> None:
    """Parse the XML in ``chunks`` and tell what is found.

    Args:
        chunks: the bytes, in order.
        what: the document and its part, for messages: ``"DOCX: word/document.xml"``.
        start: called with ``"<namespace> <local name>"`` and the attributes, named likewise.
        end: called with the name.
        characters: called with character data.
        doctype_allowed: a document type declaration is no reason to refuse (its entities still are).

    Raises:
        UnreadableError: not well-formed, or with declarations that are refused.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters

    def refuse(*_declaration: object) -> None:
        raise UnreadableError(f"{what}: XML with a document type declaration or entities is refused")

    parser.EntityDeclHandler = refuse
    if not doctype_allowed:
        parser.StartDoctypeDeclHandler = refuse
    try:
        for chunk in chunks:
            parser.Parse(chunk)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UnreadableError(f"broken {what}: {error}") from error
    except (LookupError, ValueError) as error:  # an encoding that Python does not know, or a multi-byte one
        raise UnreadableError(f"broken {what}: {error}") from error


class Names(dict[str, str]):
    """Short names of elements and attributes: ``names["<namespace> p"]`` is ``"w:p"``.

    The prefix of no namespace, and of one that is not known, is empty.
    """

    def __init__(self, prefixes: dict[str, str]) -> None:
        super().__init__()
        self._prefixes = prefixes

    def __missing__(self, name: str) -> str:
        if len(self) > 10_000:  # made-up names without end
            self.clear()
        namespace, _, local = name.rpartition(" ")
        self[name] = f"{self._prefixes.get(namespace, '')}:{local}"
        return self[name]

    def of(self, attributes: dict[str, str]) -> dict[str, str]:
        """The attributes by their short names."""
        return {self[name]: value for name, value in attributes.items()}
