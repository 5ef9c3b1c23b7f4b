"""Pictures of words, for OCR."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont


def page(words: str, size: tuple[int, int] = (740, 740)) -> Image.Image:
    """Black words on white."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((30, 50), words, fill="black", font=ImageFont.load_default(size=40))
    return image


def picture(words: str, kind: str, *, pages: int = 1) -> bytes:
    """A picture file of some kind that says these words, or a PDF or TIFF that does on every page."""
    buffer = io.BytesIO()
    image = page(words)
    several = {"save_all": True, "append_images": [image] * (pages - 1)} if kind in ("PDF", "TIFF") else {}
    image.save(buffer, kind, **several)
    return buffer.getvalue()
