"""What has no text of its own: scanned pages of PDFs, and pictures, read by OCR."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pypdfium2

from thresher.documents.parsers.ocr import read_picture
from thresher.documents.parsers.pdf import join_pages, open_pdf, page_text
from thresher.errors import UnreadableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Pages of one document that are recognised: at a few seconds a page, what fits the time limit of a document.
MAX_PAGES = 40
_DPI = 150
#: Recognition scales pictures down to this anyway.
_LONGEST_SIDE_PIXELS = 2000
#: Larger pictures are not unpacked: three bytes a pixel.
_MOST_PIXELS = 120_000_000
_PICTURES = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")


def parse_pdf(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The text of all pages: the text layer where a page has one, else what is recognised.

    Raises:
        UnreadableError: encrypted, broken, more than ``MAX_PAGES`` pages without a text layer, or no text anywhere.
    """
    with open_pdf(data) as document:
        pages = [page_text(document, index) for index in range(len(document))]
        scanned = [index for index, text in enumerate(pages) if not text and _shows_something(document, index)]
        _check_pages(len(scanned), "pages without a text layer")
        for index in scanned:
            pages[index] = read_picture(_render(document, index))
    return join_pages(pages, f"no text layer in {len(pages)} pages of PDF, and OCR found no text")


def parse_picture(data: bytes, name: str) -> str:  # noqa: ARG001 - the signature of all parsers
    """The text in a picture, of a TIFF in all its pages.

    Raises:
        UnreadableError: broken or too large a picture, too many pages, or no text in it.
    """
    try:
        return join_pages([read_picture(pixels) for pixels in _frames(data)], "OCR found no text in the picture")
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise what they like
        raise UnreadableError(f"broken picture: {type(error).__name__}: {error}") from error


def _check_pages(count: int, what: str) -> None:
    if count > MAX_PAGES:
        raise UnreadableError(f"{count} {what} are over the limit of {MAX_PAGES} for OCR; split the document")


def _shows_something(document: pypdfium2.PdfDocument, index: int) -> bool:
    page = document[index]
    try:
        return next(iter(page.get_objects(max_depth=1)), None) is not None
    finally:
        page.close()


def _render(document: pypdfium2.PdfDocument, index: int) -> NDArray[np.uint8]:
    page = document[index]
    try:
        longest_points = max(1.0, *page.get_size())
        bitmap = page.render(scale=min(_DPI / 72, _LONGEST_SIDE_PIXELS / longest_points), rev_byteorder=False)
        try:
            pixels: NDArray[np.uint8] = bitmap.to_numpy().copy()
        finally:
            bitmap.close()
    except pypdfium2.PdfiumError as error:
        raise UnreadableError(f"broken PDF: page {index + 1} cannot be drawn") from error
    finally:
        page.close()
    return pixels


def _frames(data: bytes) -> Iterator[NDArray[np.uint8]]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
        opened = Image.open(BytesIO(data), formats=_PICTURES)
    with opened as picture:
        frames = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
        _check_pages(frames, "pages of a TIFF")
        for frame in range(frames):
            picture.seek(frame)
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise UnreadableError(f"a picture of {width:,} x {height:,} pixels is too large for OCR")
            yield _pixels(picture)


def _pixels(picture: Any) -> NDArray[np.uint8]:
    """Upright, on white, no larger than recognition works on."""
    import numpy as np
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(picture)
    upright.thumbnail((_LONGEST_SIDE_PIXELS, _LONGEST_SIDE_PIXELS))
    layer = upright.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    paper.alpha_composite(layer)
    return np.asarray(paper.convert("RGB"))[:, :, ::-1].copy()
