"""What a file is: by its content first, by its name only where text has no signature."""

from __future__ import annotations

import codecs
import re
import zipfile
from io import BytesIO
from pathlib import PurePath

from thresher.documents.parsers import FORMATS
from thresher.errors import UnreadableError

MAIL = "message/rfc822"
MSG = "application/vnd.ms-outlook"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
ODT = "application/vnd.oasis.opendocument.text"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODP = "application/vnd.oasis.opendocument.presentation"
EPUB = "application/epub+zip"
RTF = "application/rtf"

#: First bytes (and where they stand) -> the name used in "... files are not supported".
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%!PS", "PostScript"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG image"),
    (0, b"\xff\xd8\xff", "JPEG image"),
    (0, b"GIF87a", "GIF image"),
    (0, b"GIF89a", "GIF image"),
    (0, b"II*\0", "TIFF image"),
    (0, b"MM\0*", "TIFF image"),
    (8, b"WEBP", "WebP image"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"ID3", "MP3 audio"),
    (0, b"fLaC", "FLAC audio"),
    (0, b"OggS", "Ogg media"),
    (8, b"WAVE", "WAV audio"),
    (8, b"AVI ", "AVI video"),
    (4, b"ftypM4A", "M4A audio"),
    (4, b"ftyphei", "HEIF image"),
    (4, b"ftypavif", "AVIF image"),
    (4, b"ftyp", "MP4 or QuickTime media"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (0, b"\x1f\x8b", "gzip archive"),
    (0, b"BZh", "bzip2 archive"),
    (0, b"\xfd7zXZ\0", "xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7-Zip archive"),
    (0, b"Rar!\x1a\x07", "RAR archive"),
    (257, b"ustar", "tar archive"),
    (0, b"\x7fELF", "program"),
    (0, b"\xcf\xfa\xed\xfe", "program"),
    (0, b"\xca\xfe\xba\xbe", "Java class or program"),
    (0, b"\0asm", "WebAssembly program"),
    (0, b"SQLite format 3\0", "SQLite database"),
    (0, b"PAR1", "Parquet"),
    (0, b"GGUF", "GGUF model"),
    (0, b"OTTO", "font"),
    (0, b"wOFF", "font"),
    (0, b"wOF2", "font"),
    (0, b"\0\1\0\0\0", "font"),
    (0, b"!BDN", "Outlook mailbox"),
    (0, b"\x78\x9f\x3e\x22", "Outlook TNEF container (winmail.dat)"),
)
#: Kinds that OCR reads.
_PICTURES = {
    "PNG image": "image/png",
    "JPEG image": "image/jpeg",
    "GIF image": "image/gif",
    "TIFF image": "image/tiff",
    "WebP image": "image/webp",
    "BMP image": "image/bmp",
}
#: An Office file is told by the folder that holds its document.
_OFFICE_FOLDERS: tuple[tuple[str, str], ...] = (("word/", DOCX), ("xl/", XLSX), ("ppt/", PPTX))
#: Other zip archives by a member; these are not read.
_ZIP_MEMBERS: tuple[tuple[str, str], ...] = (
    ("visio/", "Visio (VSDX)"),
    ("META-INF/MANIFEST.MF", "Java archive"),
    ("Index/Document.iwa", "Apple iWork"),
    ("Index.zip", "Apple iWork"),
)
#: What a zip archive, or a flat OpenDocument file, declares itself to be; templates are read as documents.
_DECLARED: dict[str, str] = {
    **dict.fromkeys(["application/vnd.oasis.opendocument.text", "application/vnd.sun.xml.writer"], ODT),
    **{f"application/vnd.oasis.opendocument.text-{kind}": ODT for kind in ("template", "master", "web")},
    **dict.fromkeys(["application/vnd.oasis.opendocument.spreadsheet", "application/vnd.sun.xml.calc"], ODS),
    "application/vnd.oasis.opendocument.spreadsheet-template": ODS,
    **dict.fromkeys(["application/vnd.oasis.opendocument.presentation", "application/vnd.sun.xml.impress"], ODP),
    "application/vnd.oasis.opendocument.presentation-template": ODP,
    "application/epub+zip": EPUB,
}
#: Streams at the root of an OLE file -> a media type that is read, or the name of what is not.
_OLE_STREAMS: tuple[tuple[str, str], ...] = (
    ("WordDocument", DOC),
    ("Workbook", XLS),
    ("Book", XLS),
    ("PowerPoint Document", PPT),
    ("__properties_version1.0", MSG),
    ("VisioDocument", "Visio (VSD)"),
    ("Quill", "Publisher (PUB)"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(rb"(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.I | re.S)
_SVG = re.compile(rb"(?:<\?xml[^>]*>\s*|(?><!--.*?-->)\s*|<!doctype\s+svg[^>]*>\s*)*<svg[\s>]", re.I | re.S)
_HEADERS = re.compile(rb"(?:From [^\r\n]{1,200}\r?\n)?(?:[!-9;-~]{1,76}:[^\n]*\n(?:[ \t][^\n]*\n)*){3,}")
_HEADER_OF_MAILS = re.compile(
    rb"^(received|return-path|message-id|mime-version|delivered-to|x-mailer|content-transfer-encoding|in-reply-to"
    rb"|date(?=:[^\n]{0,20}\d{4} \d\d:\d\d)|from(?=:[^\n]{1,200}@)|to(?=:[^\n]{1,200}@)):",
    re.IGNORECASE | re.MULTILINE,
)
_FLAT_OPEN_DOCUMENT = re.compile(rb"<office:document\s[^>]*?office:mimetype\s*=\s*[\"']([\w.+/-]{1,128})[\"']", re.S)
_MPEG_AUDIO = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xeb]")
_TEXTS = frozenset(
    ["text/plain", "text/html", "text/markdown", "text/csv", "application/json", "application/xml", "message/rfc822"]
)
_BY_EXTENSION = {extension: known.media_type for known in FORMATS for extension in known.extensions}
_START_BYTES = 8192


def recognise(data: bytes, name: str, *, ocr: bool = False) -> str:
    """The media type of a readable document, one of :data:`~thresher.documents.parsers.FORMATS`.

    With ``ocr`` pictures are readable, too (:data:`~thresher.documents.parsers.WITH_OCR`).

    Bytes without a signature are held for text of the kind that the name's extension says; whether they are text
    is found out when they are decoded.

    Raises:
        UnreadableError: the file is empty, encrypted, or of a kind that is not read; the message names the kind.
    """
    if not data:
        raise UnreadableError("the file is empty")
    if data.startswith(_OLE):
        return _in_ole(data)
    if b"%PDF-" in data[:1024] and not _is_mail(data[:_START_BYTES]):
        return "application/pdf"
    if data.startswith((b"PK\3\4", b"PK\5\6")):
        return _in_zip(data)
    if data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf"):
        return RTF
    if kind := _signature(data):
        if ocr and kind in _PICTURES:
            return _PICTURES[kind]
        raise UnreadableError(f"{kind} files are not supported{' without --ocr' if kind in _PICTURES else ''}")
    return _text_type(data, name)


def could_be_mail(start: bytes, name: str) -> bool:
    """Whether a file that begins so (8 KiB are enough) is worth reading as a mail."""
    if start.startswith(_OLE):
        return True
    return PurePath(name).suffix.lower() == ".eml" or _is_mail(start[:_START_BYTES])


def _signature(data: bytes) -> str | None:
    for offset, mark, kind in _SIGNATURES:
        if data.startswith(mark, offset):
            return kind
    # FF FE is also the mark at the start of UTF-16 text, which is by far the likelier of the two
    if _MPEG_AUDIO.match(data) and not data.startswith(codecs.BOM_UTF16_LE):
        return "MP3 audio"
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":
        return "BMP image"
    return "program" if data[:2] == b"MZ" and b"\0" in data[:64] else None


def _in_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            names = archive.namelist()
            declared = archive.open("mimetype").read(128) if "mimetype" in names else b""
    except MemoryError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on hostile archives
        raise UnreadableError(f"broken zip container (a cut file?): {error}") from error
    if media_type := _DECLARED.get(declared.decode("ascii", "replace").strip()):
        return media_type
    if "xl/workbook.bin" in names:
        raise UnreadableError("Excel binary (XLSB) files are not supported; save it as .xlsx")
    if "[Content_Types].xml" in names:
        for folder, media_type in _OFFICE_FOLDERS:
            if any(name.startswith(folder) for name in names):
                return media_type
    if "META-INF/container.xml" in names:
        return EPUB
    kind = next((kind for mark, kind in _ZIP_MEMBERS if any(name.startswith(mark) for name in names)), "zip archive")
    raise UnreadableError(f"{kind} files are not supported")


def _in_ole(data: bytes) -> str:
    import olefile  # old Office files only

    try:
        with olefile.OleFileIO(BytesIO(data)) as container:
            streams = {path[0].lower() for path in container.listdir(storages=True)}
    except MemoryError:
        raise
    except Exception as error:  # the library fails in many ways on broken files
        raise UnreadableError(f"broken OLE container (a cut file?): {error}") from error
    if "encryptedpackage" in streams:
        raise UnreadableError("encrypted Office file; remove its password and try again")
    kind = next((kind for stream, kind in _OLE_STREAMS if stream.lower() in streams), "OLE container")
    if "/" in kind:
        return kind
    raise UnreadableError(f"{kind} files are not supported")


def _text_type(data: bytes, name: str) -> str:
    by_name = _BY_EXTENSION.get(PurePath(name).suffix.lower(), "text/plain")
    start = data[:_START_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if _SVG.match(start):
        raise UnreadableError("SVG image files are not supported")
    if _HTML.match(start):
        return "text/html"
    if flat := _FLAT_OPEN_DOCUMENT.search(data[:8192]):
        return _DECLARED.get(flat[1].decode(), "application/xml")
    if _is_mail(start):
        return MAIL
    return by_name if by_name in _TEXTS else "text/plain"  # a text that was given the wrong name


def _is_mail(start: bytes) -> bool:
    """Mail folders hold files without an extension: header lines of which several are such as only mails have."""
    head = _HEADERS.match(start)
    return head is not None and len({name.lower() for name in _HEADER_OF_MAILS.findall(head[0])}) >= 2
