"""An empty chart in the project's style, and a drawn one as SVG to stand in a page."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from thresher.errors import ExtraMissingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's colours, told apart by the colour-blind; yellow is left out, too pale for lines on white.
#: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: Beside the colours, so that lines differ in print without colour, too.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "svg.hashsalt": "thresher",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
}
_LOCK = threading.Lock()  # matplotlib's settings are global


@dataclass(slots=True)
class Chart:
    """What is drawn on, and in the end the drawing."""

    axes: Axes
    svg: str = ""


@contextlib.contextmanager
def chart(description: str, *, width_in: float = 6.4, height_in: float = 2.6) -> Iterator[Chart]:
    """A chart to draw on; after the block ``svg`` holds it.

    ``description`` says in words what a person sees, for those who do not see it.

    Raises:
        ExtraMissingError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissingError("charts need matplotlib; install it: pip install 'thresher[report]'") from error
    with _LOCK, rc_context(_STYLE):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        drawn = Chart(figure.add_subplot())
        yield drawn
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawn.svg = _embedded(target.getvalue(), description)


def _embedded(svg: str, description: str) -> str:
    """The ``<svg>`` element alone, with its description."""
    element = svg[svg.index("<svg ") :]
    return element.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)
