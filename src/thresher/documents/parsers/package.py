"""A zip container of XML parts (DOCX, XLSX, PPTX, OpenDocument, EPUB), read with limits.

What a member declares as its size is not believed: the bytes that really come out are counted.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import IO

from thresher.documents.parsers.xml_stream import Characters, End, Start, feed_xml
from thresher.errors import UnreadableError

#: No part that is read may unpack to more.
MAX_PART_BYTES = 256 * 1024 * 1024
#: Nor all parts that are read together.
MAX_TOTAL_BYTES = 512 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_RELATIONSHIP = "/relationships/"


@dataclass(frozen=True, slots=True)
class Relation:
    """A link from one part of an Office file to another inside the file."""

    id: str
    kind: str  # the last word of its type: "slide", "comments"
    target: str  # the member's name


class Package:
    """An opened container; ``kind`` names it in messages.

    Raises:
        UnreadableError: broken, encrypted or bomb-like, from every method.
    """

    def __init__(self, data: bytes, kind: str, *, doctype_allowed: bool = False) -> None:
        self.kind = kind
        self._doctype_allowed = doctype_allowed
        self._left = MAX_TOTAL_BYTES
        try:
            self._archive = zipfile.ZipFile(BytesIO(data))
        except MemoryError:
            raise
        except Exception as error:  # zipfile raises a dozen kinds on hostile archives
            raise UnreadableError(f"broken {kind}: {error}") from error

    @cached_property
    def members(self) -> frozenset[str]:
        """The names of all members."""
        return frozenset(self._archive.namelist())

    def chunks(self, member: str) -> Iterator[bytes]:
        """The unpacked bytes of a member."""
        try:
            info = self._archive.getinfo(member)
            if info.flag_bits & 1:
                raise UnreadableError(f"encrypted {self.kind}; remove its password and try again")
            with self._archive.open(info) as stream:
                yield from self._counted(stream, info)
        except (UnreadableError, MemoryError):
            raise
        except KeyError as error:
            raise UnreadableError(f"broken {self.kind}: there is no {member} in it") from error
        except Exception as error:  # as above
            raise UnreadableError(f"broken {self.kind}: {member}: {error}") from error

    def _counted(self, stream: IO[bytes], info: zipfile.ZipInfo) -> Iterator[bytes]:
        left = MAX_PART_BYTES
        while chunk := stream.read(_CHUNK_BYTES):
            left -= len(chunk)
            self._left -= len(chunk)
            if left < 0 or info.file_size > MAX_PART_BYTES:
                limit = MAX_PART_BYTES // 1024**2
                raise UnreadableError(f"{info.filename} unpacks to more than {limit} MiB (a zip bomb?)")
            if self._left < 0:
                limit = MAX_TOTAL_BYTES // 1024**2
                raise UnreadableError(f"the parts of this {self.kind} unpack to more than {limit} MiB (a zip bomb?)")
            yield chunk

    def read(self, member: str) -> bytes:
        """All of a member."""
        return b"".join(self.chunks(member))

    def feed(self, member: str, start: Start, end: End | None = None, characters: Characters | None = None) -> None:
        """Stream an XML member through the handlers (:func:`~thresher.documents.parsers.xml_stream.feed_xml`)."""
        what = f"{self.kind}: {member}"
        feed_xml(self.chunks(member), what, start, end, characters, doctype_allowed=self._doctype_allowed)

    def relations(self, part: str) -> list[Relation]:
        """The relations of ``part`` ("" for the package's own) that lead to members, in their order."""
        folder, file = posixpath.split(part)
        path = posixpath.join(folder, "_rels", f"{file}.rels")
        found: list[Relation] = []

        def start(_tag: str, attributes: dict[str, str]) -> None:
            kind, target = attributes.get("Type", ""), attributes.get("Target", "")
            if _RELATIONSHIP in kind and attributes.get("TargetMode") != "External":
                resolved = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
                if resolved in self.members:
                    found.append(Relation(attributes.get("Id", ""), kind.rpartition("/")[2], resolved))

        if path in self.members:
            self.feed(path, start)
        return found

    def main_part(self, default: str) -> str:
        """The part that the package says is its document."""
        return next((link.target for link in self.relations("") if link.kind == "officeDocument"), default)
