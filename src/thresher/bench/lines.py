"""A benchmark's rows as people read them, in a terminal and on a page."""

from __future__ import annotations

from dataclasses import dataclass

from thresher.bench.measurement import Agreement, Measurement, agreement
from thresher.bench.results import Comparison, Results

_MIB = 1 << 20
_FAILED = {"out_of_memory": "out of memory", "engine_error": "failed", "crashed": "crashed"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table."""

    text: str
    figure: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table."""

    cells: tuple[Cell, ...]
    share: float  # of the fastest row's throughput, in percent
    problem: str  # why it has no figures


def columns(results: Results) -> list[str]:
    """Names of the columns; what is swept has its own."""
    swept = next((row.sweep for row in results.measured.values() if row.sweep), "")
    return [
        "engine", "precision", *([swept] if swept else []), "documents", "tok/s", "documents/s", "first token p50",
        "p99", "memory MiB", "answers alike",
    ]  # fmt: skip


def lines(results: Results) -> list[Line]:
    """One line for each row that was measured."""
    rows = list(results.measured.values())
    first = next((row for row in rows if row.labels), None)
    best = max((row.tokens_per_second or 0.0 for row in rows), default=0.0)
    return [_line(row, first, best) for row in rows]


def _line(row: Measurement, first: Measurement | None, best: float) -> Line:
    alike = None if first is None or row is first else agreement(first, row)
    memory = row.peak_device_bytes or row.peak_memory_bytes
    texts = [
        _rate(row), _number(row.documents_per_second, 2), _seconds(row.latency_s(0.5)), _seconds(row.latency_s(0.99)),
        "" if memory is None else f"{memory / _MIB:,.0f}", _alike(alike),
    ]  # fmt: skip
    swept = (Cell(f"{row.value:,}", figure=True),) if row.value is not None else ()
    return Line(
        cells=(
            Cell(row.engine), Cell(row.precision), *swept, Cell(f"{row.documents:,}", figure=True),
            *(Cell(text, figure=True) for text in texts),
        ),
        share=100 * (row.tokens_per_second or 0.0) / best if best else 0.0,
        problem="" if row.failure is None else f"{_FAILED[row.failure.kind]}: {row.failure.reason}",
    )  # fmt: skip


def comparison_cells(row: Comparison) -> tuple[str, str, str, str]:
    """Case, throughput now and then, and their ratio."""
    words = f"{row.now.engine} {row.now.precision}"
    if row.now.value is not None:
        words += f", {row.now.sweep} {row.now.value:,}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return words, _number(row.now.tokens_per_second), _number(row.before.tokens_per_second), ratio


def _rate(row: Measurement) -> str:
    if row.tokens_per_second is None:
        return ""
    median, low, high = (f"{rate:,.0f}" for rate in (row.tokens_per_second, min(row.rates), max(row.rates)))
    return f"{median} ({low}-{high})" if len(row.rates) > 1 else median


def _number(value: float | None, places: int = 0) -> str:
    return "" if value is None else f"{value:,.{places}f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f} s"


def _alike(found: Agreement | None) -> str:
    if found is None:
        return ""
    gap = "" if found.largest_gap is None else f", gap {found.largest_gap:.4f}"
    return f"{found.equal:,} of {found.documents:,}{gap}"
