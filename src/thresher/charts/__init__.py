"""Charts as SVG for the pages that Thresher writes; matplotlib draws them (``thresher[report]``)."""

from thresher.charts.drawing import Series, bars, curves, histogram

__all__ = ["Series", "bars", "curves", "histogram"]
