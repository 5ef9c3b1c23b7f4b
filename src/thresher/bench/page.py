"""A benchmark as one HTML page with its plots, which needs nothing beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from thresher.bench.lines import columns, comparison_cells, lines
from thresher.bench.measurement import Measurement
from thresher.bench.results import Results, compare, knee
from thresher.charts import Series, curves

_MIB = 1 << 20
_TITLES = {
    "concurrency": "By requests in flight",
    "context": "By length of the document",
    "batch": "By tokens computed at a time",
}
_AXES = {"concurrency": "requests in flight", "context": "tokens of the document", "batch": "tokens at a time"}


@dataclass(frozen=True, slots=True)
class _Chart:
    drawing: Markup
    caption: str


def bench_page(results: Results, earlier: Results | None = None, earlier_name: str = "") -> str:
    """The page, HTML that runs no script and asks for no other file.

    Raises:
        ExtraMissingError: the library that draws charts is not installed.
    """
    environment = Environment(loader=PackageLoader("thresher.bench"), autoescape=True)
    environment.filters["moment"] = lambda seconds: f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    rows = list(results.measured.values())
    sweep = next((row.sweep for row in rows if row.sweep), "")
    style = resources.files("thresher.bench").joinpath("templates/bench.css").read_text("utf-8")
    machine = None if earlier is None else earlier.header["machine"]
    return environment.get_template("bench.html").render(
        header=results.header,
        model=rows[0].model if rows else "nothing",
        style=Markup(style),  # noqa: S704 - our own file
        columns=[{"name": name, "figure": place > 1} for place, name in enumerate(columns(results))],
        lines=lines(results),
        swept=_TITLES.get(sweep, ""),
        charts=_charts(rows, sweep),
        knees=_knees(rows, sweep),
        comparisons=[] if earlier is None else [comparison_cells(row) for row in compare(results, earlier)],
        earlier=earlier_name,
        other_machine=", ".join(machine.values()) if machine and machine != results.header["machine"] else "",
        versions=sorted({(row.engine, row.version) for row in rows if row.version}),
    )


def _by_engine(rows: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    ranked = sorted(rows, key=lambda row: (row.engine, row.precision, row.value or 0))
    groups = itertools.groupby(ranked, key=lambda row: f"{row.engine} {row.precision}")
    return {name: list(group) for name, group in groups}


def _charts(rows: Sequence[Measurement], sweep: str) -> list[_Chart]:
    if not sweep:
        return []
    charts = [
        _curve(rows, sweep, "tok/s", lambda row: row.tokens_per_second, "Throughput; circled: the knee.", mark=True)
    ]
    if sweep == "concurrency":
        charts.append(
            _curve(rows, sweep, "seconds", lambda row: row.latency_s(0.5), "Time to the first token, median.")
        )
        charts.append(_curve(rows, sweep, "seconds", lambda row: row.latency_s(0.99), "Time to the first token, p99."))
    else:
        charts.append(_curve(rows, sweep, "MiB", _memory_mib, "Peak memory: the GPU's where the engine tells it."))
    return [chart for chart in charts if chart is not None]


def _memory_mib(row: Measurement) -> float | None:
    found = row.peak_device_bytes or row.peak_memory_bytes
    return None if found is None or row.failure else found / _MIB


def _curve(
    rows: Sequence[Measurement],
    sweep: str,
    unit: str,
    figure: Callable[[Measurement], float | None],
    caption: str,
    *,
    mark: bool = False,
) -> _Chart | None:
    series: list[Series] = []
    for name, group in _by_engine(rows).items():
        points = [(row.value or 0, value) for row in group if (value := figure(row)) is not None]
        if not points:
            continue
        bend = knee(group) if mark else None
        at = None if bend is None else (float(bend.value or 0), bend.tokens_per_second or 0.0)
        series.append(Series(name=name, x=[x for x, _ in points], y=[y for _, y in points], mark=at))
    if not series:
        return None
    drawn = curves(
        series, x_label=_AXES[sweep], y_label=unit, description=f"{caption} {_AXES[sweep]} against {unit}.",
        logarithmic_x=True,
    )  # fmt: skip
    return _Chart(Markup(drawn), caption)  # noqa: S704 - drawn from figures


def _knees(rows: Sequence[Measurement], sweep: str) -> list[str]:
    found = [(name, knee(group)) for name, group in _by_engine(rows).items()] if sweep else []
    return [
        f"{name}: the knee is at {bend.value:,}, the first that reaches 95% of the best throughput."
        for name, bend in found
        if bend is not None
    ]
