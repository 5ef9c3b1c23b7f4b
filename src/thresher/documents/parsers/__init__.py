"""From a file's bytes to its text: one module per family of formats.

To add a format: a module here with ``parse(data, name) -> str``, and its line in :data:`FORMATS`
(and in ``recognise.py``, where the format has a signature of its own). Parsers are imported when their first
document comes, inside the worker processes. A parser raises nothing but
:class:`~thresher.errors.UnreadableError`, resolves no external reference and opens nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from thresher.documents.parsers.normalise import normalise
from thresher.errors import UnreadableError

#: Raise it whenever some document's text may come out differently.
PARSER_VERSION = "2"

Parser = Callable[[bytes, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of document that can be read."""

    media_type: str
    name: str  # as people say it
    extensions: tuple[str, ...]  # lower case, with the dot; text formats without a signature go by them
    parser: str  # "module:function" in this package


FORMATS: tuple[Format, ...] = (
    Format(media_type="text/plain", name="plain text", extensions=(".txt", ".text", ".log"), parser="text:parse"),
    Format(media_type="text/markdown", name="Markdown", extensions=(".md", ".markdown"), parser="text:parse"),
    Format(media_type="text/csv", name="CSV", extensions=(".csv", ".tsv"), parser="text:parse"),
    Format(
        media_type="application/json",
        name="JSON",
        extensions=(".json", ".jsonl", ".ndjson", ".ipynb"),
        parser="json_text:parse",
    ),
    Format(media_type="application/xml", name="XML", extensions=(".xml",), parser="text:parse"),
    Format(media_type="message/rfc822", name="mail (EML)", extensions=(".eml", ".mbox"), parser="mail.eml:parse"),
    Format(
        media_type="application/vnd.ms-outlook",
        name="Outlook mail (MSG)",
        extensions=(".msg",),
        parser="mail.msg:parse",
    ),
    Format(media_type="text/html", name="HTML", extensions=(".html", ".htm", ".xhtml"), parser="html:parse"),
    Format(media_type="application/pdf", name="PDF", extensions=(".pdf",), parser="pdf:parse"),
    Format(
        media_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        name="Word (DOCX)",
        extensions=(".docx", ".docm", ".dotx"),
        parser="docx:parse",
    ),
    Format(media_type="application/msword", name="Word 97 (DOC)", extensions=(".doc", ".dot"), parser="doc:parse"),
    Format(
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        name="Excel (XLSX)",
        extensions=(".xlsx", ".xlsm", ".xltx", ".xltm"),
        parser="xlsx:parse",
    ),
    Format(
        media_type="application/vnd.ms-excel", name="Excel 97 (XLS)", extensions=(".xls", ".xlt"), parser="xls:parse"
    ),
    Format(
        media_type="application/vnd.openxmlformats-officedocument.presentationml.presentation",
        name="PowerPoint (PPTX)",
        extensions=(".pptx", ".pptm", ".ppsx", ".potx"),
        parser="pptx:parse",
    ),
    Format(
        media_type="application/vnd.ms-powerpoint",
        name="PowerPoint 97 (PPT)",
        extensions=(".ppt", ".pps", ".pot"),
        parser="ppt:parse",
    ),
    Format(
        media_type="application/vnd.oasis.opendocument.text",
        name="OpenDocument text (ODT)",
        extensions=(".odt", ".ott", ".fodt", ".sxw"),
        parser="opendocument:parse",
    ),
    Format(
        media_type="application/vnd.oasis.opendocument.spreadsheet",
        name="OpenDocument spreadsheet (ODS)",
        extensions=(".ods", ".ots", ".fods", ".sxc"),
        parser="opendocument:parse",
    ),
    Format(
        media_type="application/vnd.oasis.opendocument.presentation",
        name="OpenDocument presentation (ODP)",
        extensions=(".odp", ".otp", ".fodp", ".sxi"),
        parser="opendocument:parse",
    ),
    Format(media_type="application/rtf", name="RTF", extensions=(".rtf",), parser="rtf:parse"),
    Format(media_type="application/epub+zip", name="EPUB", extensions=(".epub",), parser="epub:parse"),
)

#: How formats are read where OCR is asked for; pictures are formats only then.
WITH_OCR: tuple[Format, ...] = (
    Format(media_type="application/pdf", name="PDF", extensions=(".pdf",), parser="scans:parse_pdf"),
    *(
        Format(
            media_type=f"image/{kind}",
            name=f"{kind.upper()} picture",
            extensions=extensions,
            parser="scans:parse_picture",
        )
        for kind, extensions in {
            "png": (".png",),
            "jpeg": (".jpg", ".jpeg"),
            "gif": (".gif",),
            "tiff": (".tif", ".tiff"),
            "webp": (".webp",),
            "bmp": (".bmp",),
        }.items()
    ),
)

_PARSERS = {known.media_type: known.parser for known in FORMATS}
_PARSERS_WITH_OCR = _PARSERS | {known.media_type: known.parser for known in WITH_OCR}
_loaded: dict[str, Parser] = {}


def parser_version(*, ocr: bool) -> str:
    """What decides the texts of documents: goes into the run's fingerprint."""
    if not ocr:
        return PARSER_VERSION
    from thresher.documents.parsers.ocr import version

    return f"{PARSER_VERSION}+{version()}"


def parse(data: bytes, media_type: str, name: str, *, ocr: bool = False) -> str:
    """The text of a document, normalised (:func:`~thresher.documents.parsers.normalise.normalise`).

    Args:
        data: the whole file.
        media_type: one of :data:`FORMATS` (with ``ocr`` also of :data:`WITH_OCR`), as ``recognise`` found it.
        name: the file's name; parsers may take a hint from it.
        ocr: recognise the text of scans and pictures.

    Raises:
        UnreadableError: why there is no text; also when what is there is white space only.
    """
    text = normalise(_parser((_PARSERS_WITH_OCR if ocr else _PARSERS)[media_type])(data, name))
    if not text or text.isspace():
        raise UnreadableError("no text")
    return text


def _parser(place: str) -> Parser:
    if place not in _loaded:
        module, function = place.split(":")
        _loaded[place] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return _loaded[place]


def describe_formats() -> str:
    """The readable formats as a Markdown table, for the documentation."""
    rows = [f"| {known.name} | {' '.join(known.extensions)} | `{known.media_type}` |" for known in FORMATS]
    return "\n".join(["| format | extensions | media type |", "|---|---|---|", *rows])
