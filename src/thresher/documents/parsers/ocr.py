"""Optical character recognition: pictures -> lines of text, through RapidOCR, whose models come with its package.

https://github.com/RapidAI/RapidOCR (Apache-2.0; PP-OCR models of PaddleOCR, Apache-2.0).
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import itertools
from typing import TYPE_CHECKING, Any

from thresher.errors import UnreadableError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PACKAGES = ("rapidocr", "onnxruntime")
#: Boxes on one line that are further apart than this many times their height are cells of a table.
_CELL_GAP = 2.0


def check_ocr() -> None:
    """See that recognition can run.

    Raises:
        UsageError: a package is missing; names the remedy.
    """
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(f"--ocr needs {' and '.join(missing)}; install it: pip install 'thresher[ocr]'")


def version() -> str:
    """What recognises, and its version: other versions may read other texts."""
    return f"rapidocr-{importlib.metadata.version('rapidocr')}"


def read_picture(pixels_HW3: NDArray[np.uint8]) -> str:  # noqa: N803 - a shape: rows, columns, blue-green-red
    """The text in a picture, a line each, from top to bottom; empty where there is none.

    Raises:
        UnreadableError: recognition failed.
    """
    try:
        found = _engine()(pixels_HW3)
    except MemoryError:
        raise
    except Exception as error:  # OpenCV, ONNX Runtime and RapidOCR have no common base
        raise UnreadableError(f"OCR failed: {type(error).__name__}: {error}") from error
    if not found.txts or found.boxes is None:
        return ""
    return _lines([(box, str(text)) for box, text in zip(found.boxes.tolist(), found.txts, strict=True)])


@functools.cache
def _engine() -> Any:
    """One thread: the pool runs a process for each core."""
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    return RapidOCR(params={**threads, "Global.log_level": "critical"})


def _lines(found: list[tuple[list[list[float]], str]]) -> str:
    """Boxes whose middles are on one level are one line; wide gaps become tabs."""
    boxes = sorted((_Box(corners, text) for corners, text in found), key=lambda box: box.middle)
    lines: list[list[_Box]] = []
    for box in boxes:
        if lines and abs(box.middle - lines[-1][-1].middle) < 0.5 * min(box.height, lines[-1][-1].height):
            lines[-1].append(box)
        else:
            lines.append([box])
    return "\n".join(_joined(sorted(line, key=lambda box: box.left)) for line in lines)


def _joined(line: list[_Box]) -> str:
    text = line[0].text
    for before, box in itertools.pairwise(line):
        text += ("\t" if box.left - before.right > _CELL_GAP * box.height else " ") + box.text
    return text


class _Box:
    """Where a piece of text stands."""

    def __init__(self, corners: list[list[float]], text: str) -> None:
        xs, ys = zip(*corners, strict=True)
        self.text = text
        self.left, self.right = min(xs), max(xs)
        self.middle, self.height = (min(ys) + max(ys)) / 2, max(ys) - min(ys)
