"""The kinds of charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thresher.charts.canvas import COLOURS, MARKERS, chart

#: How ticks are written: 0.25, 5, 1,000.
_FIGURES = "{x:,.12g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None  # a band about the line
    high: Sequence[float] | None = None
    dashed: bool = False  # a reference rather than a measurement
    mark: tuple[float, float] | None = None  # a point of it that is spoken of


def bars(
    starts: Sequence[float],
    heights: Sequence[float],
    width: float,
    *,
    x_label: str,
    y_label: str,
    description: str,
    whole: bool = False,
) -> str:
    """Bars of equal width, from each of ``starts`` on; SVG. Raises ``ExtraMissingError``.

    ``whole`` is for heights that count things: no tick lies between whole numbers.
    """
    with chart(description) as drawn:
        axes = drawn.axes
        axes.bar(starts, heights, width=width, align="edge", color=COLOURS[0], edgecolor="white", linewidth=0.3)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.set_xlim(left=min(0.0, *starts))
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", integer=whole)
        axes.yaxis.set_major_formatter(_FIGURES)
    return drawn.svg


def histogram(counts: Sequence[int], low: float, high: float, *, x_label: str, y_label: str, description: str) -> str:
    """Counts in bins of equal width between ``low`` and ``high``; SVG. Raises ``ExtraMissingError``."""
    width = (high - low) / len(counts)
    starts = [low + width * place for place in range(len(counts))]
    return bars(starts, counts, width, x_label=x_label, y_label=y_label, description=description, whole=True)


def curves(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    description: str,
    logarithmic_x: bool = False,
    unit_square: bool = False,
) -> str:
    """Lines over one pair of axes, told apart by colour and marker; SVG. Raises ``ExtraMissingError``.

    ``unit_square`` is for shares against shares: both axes go from 0 to 1.
    """
    size = {"width_in": 4.2, "height_in": 3.6} if unit_square else {}
    with chart(description, **size) as drawn:
        axes = drawn.axes
        for place, line in enumerate(series):
            colour = "#777777" if line.dashed else COLOURS[place % len(COLOURS)]
            marker, stroke = ("", "--") if line.dashed else (MARKERS[place % len(MARKERS)], "-")
            axes.plot(
                line.x, line.y, label=line.name, color=colour, marker=marker, linestyle=stroke, markersize=4,
                linewidth=1.4,
            )  # fmt: skip
            if line.low is not None and line.high is not None:
                axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)
            if line.mark is not None:
                axes.plot(*line.mark, marker="o", markersize=11, fillstyle="none", color=colour, linestyle="")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if logarithmic_x:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(_FIGURES)
        if unit_square:
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1)
        else:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(_FIGURES)
        if len(series) > 1:
            axes.legend()
    return drawn.svg
